// How long ago something was, kept current by itself.

import { ago, timeOfDay } from "../model/format";
import { now } from "../state";

export function Since({ at }: { at: string | undefined }) {
  return (
    <time class="since" dateTime={at ?? ""} title={timeOfDay(at)}>
      {ago(at, now.value)}
    </time>
  );
}
