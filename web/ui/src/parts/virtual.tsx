// Only the rows that are seen are in the document: thousands of rows scroll like a few.

import type { ComponentChildren, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows beyond the visible ones on either side, so that scrolling shows no gap. */
const SPARE_ROWS = 6;

export interface VisibleRange {
  first: number;
  last: number;
}

export function visibleRange(
  scrollTop: number,
  height: number,
  rowHeight: number,
  count: number,
): VisibleRange {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - SPARE_ROWS);
  const last = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + SPARE_ROWS);
  return { first: Math.min(first, last), last };
}

interface VirtualProps {
  count: number;
  rowHeight: number;
  row: (index: number) => ComponentChildren;
  class?: string;
  box?: RefObject<HTMLDivElement | null>;
  /** Stays at the end as rows are added, while the viewer is there. */
  follow?: boolean;
  onFollow?: (following: boolean) => void;
  /** Rows added before the first since the last rendering, which must not move what is seen. */
  shift?: number;
  attributes?: Record<string, unknown>;
}

export function Virtual(props: VirtualProps) {
  const own = useRef<HTMLDivElement>(null);
  const box = props.box ?? own;
  const [view, setView] = useState({ top: 0, height: 600 });
  const lastTop = useRef(0);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, [box]);

  // At once, not after painting: until then the viewer could scroll away and be taken back.
  useLayoutEffect(() => {
    const element = box.current;
    if (!props.follow || !element) return;
    const end = element.scrollHeight - element.clientHeight;
    // The viewer has just scrolled up, and the event that says so is still to come.
    if (element.scrollTop < lastTop.current && lastTop.current <= end) return;
    element.scrollTop = end;
    lastTop.current = element.scrollTop;
  }, [props.follow, props.count, props.shift]);

  const scrolled = (event: Event) => {
    const element = event.currentTarget as HTMLDivElement;
    lastTop.current = element.scrollTop;
    setView({ top: element.scrollTop, height: element.clientHeight });
    const atEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - props.rowHeight;
    if (atEnd !== props.follow) props.onFollow?.(atEnd);
  };

  const { first, last } = visibleRange(view.top, view.height, props.rowHeight, props.count);
  const rows = Array.from({ length: last - first }, (_, offset) => props.row(first + offset));
  return (
    <div
      ref={box}
      class={`virtual ${props.class ?? ""}`}
      onScroll={scrolled}
      tabIndex={0}
      {...props.attributes}
    >
      <div class="virtual-all" style={{ height: `${props.count * props.rowHeight}px` }}>
        <div class="virtual-seen" style={{ transform: `translateY(${first * props.rowHeight}px)` }}>
          {rows}
        </div>
      </div>
    </div>
  );
}
