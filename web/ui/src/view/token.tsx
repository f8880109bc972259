// Asks for the API's token.

import { useState } from "preact/hooks";
import { Dialog } from "../parts/dialog";
import { TextField } from "../parts/field";
import { signIn, tokenWanted } from "../state";

export function TokenDialog() {
  return tokenWanted.value === undefined ? null : <Ask why={tokenWanted.value} />;
}

function Ask({ why }: { why: string }) {
  const [token, setToken] = useState("");
  const [error, setError] = useState(why);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError((await signIn(token.trim())) ?? "");
    setBusy(false);
  };
  return (
    <Dialog label="Token" fixed onClose={() => {}}>
      <form class="dialog-body" onSubmit={submit}>
        <h2>This service asks for a token</h2>
        <p>
          It is one of those whose hashes stand in auth.tokens or auth.read_tokens. It is kept until this tab
          is closed.
        </p>
        <TextField
          label="Token"
          name="token"
          value={token}
          onValue={setToken}
          secret
          mono
          error={error === "" ? undefined : error}
        />
        <div class="buttons end">
          <button type="submit" class="primary" disabled={busy || token.trim() === ""}>
            {busy ? "Please wait …" : "Go on"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
