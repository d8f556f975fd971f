import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";

import type { Problem } from "../failure.js";
import { go } from "../route.js";
import { Icon, type IconName } from "./icon.js";

interface ButtonProps {
  readonly children: ComponentChildren;
  readonly kind?: "primary" | "plain" | "quiet" | "danger";
  readonly icon?: IconName;
  readonly busy?: boolean;
  readonly disabled?: boolean;
  readonly wide?: boolean;
  readonly type?: "submit" | "button";
  readonly onClick?: () => void;
}

/** A button. While it is busy it keeps its size. */
export function Button({ children, kind = "plain", icon, busy, disabled, wide, type = "button", onClick }: ButtonProps) {
  return (
    <button type={type} class={`button ${kind}${wide ? " wide" : ""}`} disabled={disabled} aria-busy={busy ?? false} onClick={() => !busy && onClick?.()}>
      <span class="label">
        {icon && <Icon name={icon} />}
        {children}
      </span>
      {busy && <span class="spinner" />}
    </button>
  );
}

/** A link to another path of the page. */
export function Link({ to, children, ...rest }: { to: string } & JSX.HTMLAttributes<HTMLAnchorElement>) {
  const follow = (event: MouseEvent) => {
    if (event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      go(to);
    }
  };
  return (
    <a href={to} onClick={follow} {...rest}>
      {children}
    </a>
  );
}

interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly hint?: string | undefined;
  readonly error?: string | undefined;
  readonly input?: JSX.InputHTMLAttributes<HTMLInputElement>;
  readonly after?: ComponentChildren;
}

/** A labeled text field. The line below it is always there, so that an error moves nothing. */
export function Field({ label, value, onInput, hint, error, input, after }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="box">
        <input {...input} id={id} value={value} onInput={(event) => onInput(event.currentTarget.value)} aria-invalid={error !== undefined} aria-describedby={`${id}-note`} />
        {after}
      </div>
      <p class={error === undefined ? "note" : "note wrong"} id={`${id}-note`}>
        {error ?? hint}
      </p>
    </div>
  );
}

interface SelectProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, text: string])[];
  readonly onChange: (value: string) => void;
}

/** A labeled choice. */
export function Select({ label, value, options, onChange }: SelectProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="box">
        <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          {options.map(([key, text]) => (
            <option key={key} value={key}>
              {text}
            </option>
          ))}
        </select>
      </div>
      <p class="note" />
    </div>
  );
}

/** Tells what went wrong, in the API's words. */
export function Trouble({ problem, children }: { problem: Problem | undefined; children?: ComponentChildren }) {
  return (
    <div class="trouble" role="alert">
      {problem && (
        <div class={problem.unknown ? "notice warning" : "notice danger"}>
          <p>{problem.text}</p>
          {Object.entries(problem.fields).map(([field, text]) => (
            <p key={field}>
              {field.replace(/_/g, " ")}: {text}
            </p>
          ))}
          {children}
        </div>
      )}
    </div>
  );
}

/** A form that doesn't leave the page. */
export function Form({ children, onSubmit, ...rest }: { onSubmit: () => void; children: ComponentChildren; class?: string; "aria-label"?: string }) {
  const submit = (event: Event) => {
    event.preventDefault();
    onSubmit();
  };
  return (
    <form {...rest} onSubmit={submit} noValidate>
      {children}
    </form>
  );
}

/** Stands where something will be, at its size. */
export function Waiting({ lines = 3 }: { lines?: number }) {
  return (
    <div class="waiting" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, n) => (
        <span key={n} />
      ))}
    </div>
  );
}
