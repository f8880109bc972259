// Moving through a box of rows by keyboard.

/** The row that a key leads to, brought into view; undefined where the key leads nowhere. */
export function rowByKey(
  event: KeyboardEvent,
  box: HTMLElement | null,
  rowHeight: number,
  count: number,
  current: number,
): number | undefined {
  if (box === null || count === 0) return undefined;
  const page = Math.max(1, Math.floor(box.clientHeight / rowHeight) - 1);
  const steps: Record<string, number> = {
    ArrowDown: 1,
    ArrowUp: -1,
    PageDown: page,
    PageUp: -page,
    Home: -count,
    End: count,
  };
  const step = steps[event.key];
  if (step === undefined) return undefined;
  event.preventDefault();
  const target = Math.max(0, Math.min(count - 1, current + step));
  const top = target * rowHeight;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + rowHeight > box.scrollTop + box.clientHeight)
    box.scrollTop = top + rowHeight - box.clientHeight;
  return target;
}
