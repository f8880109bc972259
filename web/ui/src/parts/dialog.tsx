// Modal questions on the browser's own <dialog>: it keeps the focus inside and gives it back.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { sentence } from "../api/problem";

export function Dialog(props: {
  label: string;
  onClose: () => void;
  fixed?: boolean;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-label={props.label}
      onCancel={(event) => props.fixed && event.preventDefault()}
      onClose={props.onClose}
    >
      {props.children}
    </dialog>
  );
}

interface Question {
  title: string;
  text: string;
  action: string;
  danger?: boolean;
  /** A choice beside the question, e.g. whether files go too. */
  option?: string;
  run: (option: boolean) => Promise<void>;
}

const question = signal<Question | undefined>(undefined);

/** Asks before something that cannot be taken back. */
export const confirm = (ask: Question): void => {
  question.value = ask;
};

export function Confirmation() {
  const ask = question.value;
  return ask === undefined ? null : <Asking key={ask.title} {...ask} />;
}

function Asking(ask: Question) {
  const [option, setOption] = useState(false);
  const [running, setRunning] = useState(false);
  const [error, setError] = useState<string>();
  const close = () => (question.value = undefined);
  const run = async (event: Event) => {
    event.preventDefault();
    setRunning(true);
    setError(undefined);
    try {
      await ask.run(option);
      close();
    } catch (thrown) {
      setError(sentence(thrown));
      setRunning(false);
    }
  };
  return (
    <Dialog label={ask.title} onClose={close}>
      <form class="dialog-body" onSubmit={run}>
        <h2>{ask.title}</h2>
        <p>{ask.text}</p>
        {ask.option !== undefined && (
          <label class="check">
            <input
              type="checkbox"
              checked={option}
              onChange={(event) => setOption(event.currentTarget.checked)}
            />
            {ask.option}
          </label>
        )}
        {error !== undefined && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        <div class="buttons end">
          <button type="button" onClick={close} autofocus>
            Cancel
          </button>
          <button type="submit" class={ask.danger ? "danger" : "primary"} disabled={running}>
            {running ? "Please wait …" : ask.action}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
