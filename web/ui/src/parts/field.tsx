// A labelled control with its help and its error beneath.

import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";

interface FieldProps {
  label: string;
  help?: string | undefined;
  error?: string | undefined;
  /** The API's name of the field, to find it by. */
  name: string;
  suffix?: string;
  /** A remark beside the label. */
  tag?: string;
  children: (bind: {
    id: string;
    "aria-describedby": string;
    "aria-invalid": boolean;
    name: string;
  }) => JSX.Element;
}

export function Field({ label, help, error, name, suffix, tag, children }: FieldProps) {
  const id = useId();
  const note = `${id}-note`;
  return (
    <div class={error === undefined ? "field" : "field field-wrong"}>
      <label for={id}>
        {label}
        {tag !== undefined && <span class="tag">{tag}</span>}
      </label>
      <div class="field-control">
        {children({ id, "aria-describedby": note, "aria-invalid": error !== undefined, name })}
        {suffix !== undefined && <span class="field-suffix">{suffix}</span>}
      </div>
      <p class="field-note" id={note}>
        {error !== undefined ? <span class="error">{error}</span> : help}
      </p>
    </div>
  );
}

interface TextProps extends Omit<FieldProps, "children"> {
  value: string;
  onValue: (value: string) => void;
  onLeave?: () => void;
  placeholder?: string;
  numeric?: boolean;
  mono?: boolean;
  disabled?: boolean;
  secret?: boolean;
}

export function TextField(props: TextProps) {
  return (
    <Field {...props}>
      {(bind) => (
        <input
          {...bind}
          type={(props.secret ? "password" : "text") as "text"}
          class={props.mono ? "mono" : ""}
          value={props.value}
          placeholder={props.placeholder ?? ""}
          inputMode={props.numeric ? "decimal" : "text"}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          disabled={props.disabled ?? false}
          onInput={(event) => props.onValue(event.currentTarget.value)}
          onBlur={() => props.onLeave?.()}
        />
      )}
    </Field>
  );
}

interface LinesProps extends Omit<FieldProps, "children"> {
  value: string;
  onValue: (value: string) => void;
  onLeave?: () => void;
  placeholder?: string;
  disabled?: boolean;
}

/** One thing a line; as high as there are lines. */
export function LinesField(props: LinesProps) {
  return (
    <Field {...props}>
      {(bind) => (
        <textarea
          {...bind}
          class="mono"
          rows={props.value.split("\n").length}
          value={props.value}
          placeholder={props.placeholder ?? ""}
          spellcheck={false}
          disabled={props.disabled ?? false}
          onInput={(event) => props.onValue(event.currentTarget.value)}
          onBlur={() => props.onLeave?.()}
        />
      )}
    </Field>
  );
}

export interface Option {
  value: string;
  text: string;
}

interface SelectProps extends Omit<FieldProps, "children"> {
  value: string;
  options: readonly Option[];
  onValue: (value: string) => void;
  disabled?: boolean;
}

export function SelectField(props: SelectProps) {
  return (
    <Field {...props}>
      {(bind) => (
        <select
          {...bind}
          value={props.value}
          disabled={props.disabled ?? false}
          onChange={(event) => props.onValue(event.currentTarget.value)}
        >
          {props.options.map(({ value, text }) => (
            <option key={value} value={value} selected={value === props.value}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function Check(props: {
  name: string;
  checked: boolean;
  onValue: (on: boolean) => void;
  children: ComponentChildren;
  disabled?: boolean;
}) {
  return (
    <label class="check">
      <input
        type="checkbox"
        name={props.name}
        checked={props.checked}
        disabled={props.disabled ?? false}
        onChange={(event) => props.onValue(event.currentTarget.checked)}
      />
      <span>{props.children}</span>
    </label>
  );
}

/** One of a few, all of them seen. */
export function Segments(props: {
  label: string;
  value: string;
  options: readonly (Option & { extra?: ComponentChildren })[];
  onValue: (value: string) => void;
}) {
  const name = useId();
  return (
    <fieldset class="segments">
      <legend class="hidden">{props.label}</legend>
      {props.options.map(({ value, text, extra }) => (
        <label key={value} class={value === props.value ? "segment on" : "segment"}>
          <input
            type="radio"
            name={name}
            value={value}
            checked={value === props.value}
            onChange={() => props.onValue(value)}
          />
          {text}
          {extra}
        </label>
      ))}
    </fieldset>
  );
}
