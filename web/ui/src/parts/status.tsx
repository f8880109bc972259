// A state as colour, icon and word together.

import type { StreamState } from "../api/types";
import { judge, type Tone } from "../model/health";
import { Icon } from "./icon";

export function ToneIcon({ tone, size = 16 }: { tone: Tone; size?: number }) {
  return (
    <span class={`tone tone-${tone}`}>
      <Icon name={tone} size={size} spin={tone === "busy"} />
    </span>
  );
}

export function Badge({ tone, children }: { tone: Tone; children: string }) {
  return (
    <span class={`badge badge-${tone}`}>
      <Icon name={tone} size={14} spin={tone === "busy"} />
      {children}
    </span>
  );
}

export function StateBadge({ state }: { state: StreamState }) {
  const { tone, word } = judge(state);
  return <Badge tone={tone}>{word}</Badge>;
}
