// Short messages that come and go; read out to those who listen.

import { signal } from "@preact/signals";
import { sentence } from "../api/problem";
import type { Tone } from "../model/health";
import { Icon } from "./icon";
import { ToneIcon } from "./status";

interface Toast {
  id: number;
  tone: Tone;
  text: string;
}

const LASTS_MS = 6000;
const toasts = signal<Toast[]>([]);
let next = 0;

const drop = (id: number) => (toasts.value = toasts.value.filter((toast) => toast.id !== id));

export function tell(tone: Tone, text: string): void {
  const id = next++;
  toasts.value = [...toasts.value.slice(-3), { id, tone, text }];
  // What went wrong stays until it is closed.
  if (tone !== "bad") setTimeout(() => drop(id), LASTS_MS);
}

export const tellError = (error: unknown): void => tell("bad", sentence(error));

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div class="toast" key={toast.id}>
          <ToneIcon tone={toast.tone} size={18} />
          <span>{toast.text}</span>
          <button type="button" class="ghost square" aria-label="Close" onClick={() => drop(toast.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
