// Says when the page is cut off from the service, and that what it shows is old.

import { useEffect, useState } from "preact/hooks";
import type { Link } from "../api/events";
import { sentence } from "../api/problem";
import { Icon } from "../parts/icon";
import { fleetKnown, fleetLink, now, retryNow, tokenWanted } from "../state";

/** A connection that comes back at once is not worth a word. */
const PATIENCE_MS = 800;

export function Connection() {
  const link = fleetLink.value;
  const down = link.state !== "live" && tokenWanted.value === undefined;
  const [shown, setShown] = useState(false);
  const [last, setLast] = useState<Link>(link);
  useEffect(() => {
    if (link.state === "lost") setLast(link);
    if (!down) {
      setShown(false);
      return undefined;
    }
    const timer = setTimeout(() => setShown(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [down, link]);
  useEffect(() => {
    document.documentElement.toggleAttribute("data-stale", shown && fleetKnown.value);
  }, [shown]);
  if (!shown) return <div role="status" />;
  const wait = link.state === "lost" ? Math.max(0, Math.ceil((link.retryAt - now.value) / 1000)) : 0;
  return (
    <div class="banner" role="status">
      <Icon name="bad" size={18} />
      <span>
        <strong>Connection lost.</strong> {last.state === "lost" && `${sentence(last.reason)}. `}
        {fleetKnown.value && "What is shown may be old. "}
        <span class="nowrap">{wait > 0 ? `Next try in ${wait} s.` : "Trying …"}</span>
      </span>
      <button type="button" onClick={retryNow}>
        Try now
      </button>
    </div>
  );
}
