// Says when the page is cut off from the service, and that what it shows is old.

import { useEffect, useState } from "preact/hooks";
import { sentence } from "../api/problem";
import { cut, retryNow } from "../links";
import { Icon } from "../parts/icon";
import { fleetKnown, now, tokenWanted } from "../state";

/** A connection that comes back at once is not worth a word. */
const PATIENCE_MS = 800;

export function Connection() {
  const down = cut.value !== undefined && tokenWanted.value === undefined;
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!down) {
      setShown(false);
      return undefined;
    }
    const timer = setTimeout(() => setShown(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [down]);
  useEffect(() => {
    document.documentElement.toggleAttribute("data-stale", shown && fleetKnown.value);
  }, [shown]);
  const { reason = "", retryAt = 0 } = cut.value ?? {};
  const wait = Math.max(0, Math.ceil((retryAt - now.value) / 1000));
  return (
    <div class={shown ? "banner" : ""}>
      {shown && <Icon name="bad" size={18} />}
      <p>
        {/* It is read out when it changes, so the seconds stand beside it. */}
        <span role="status">
          {shown && (
            <>
              <strong>Connection lost.</strong> {reason !== "" && `${sentence(reason)}. `}
              {fleetKnown.value && "What is shown may be old. "}
            </>
          )}
        </span>
        {shown && <span class="nowrap">{wait > 0 ? `Next try in ${wait} s.` : "Trying …"}</span>}
      </p>
      {shown && (
        <button type="button" onClick={retryNow}>
          Try now
        </button>
      )}
    </div>
  );
}
