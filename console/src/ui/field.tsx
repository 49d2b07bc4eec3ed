import { type ComponentProps, type ReactNode, useId } from "react";
import { cn } from "./class-names";

const CONTROL =
  "w-full min-w-0 rounded-md border border-line-strong/60 bg-panel px-2.5 text-fg placeholder:text-faint disabled:opacity-60 aria-invalid:border-deny";

export function Input({ className, ...rest }: ComponentProps<"input">) {
  return <input className={cn(CONTROL, "h-8", className)} {...rest} />;
}

export function TextArea({ className, ...rest }: ComponentProps<"textarea">) {
  return <textarea className={cn(CONTROL, "py-1.5", className)} {...rest} />;
}

export function Select({ className, ...rest }: ComponentProps<"select">) {
  return <select className={cn(CONTROL, "h-8", className)} {...rest} />;
}

/** A text field that proposes what exists, and takes what does not. */
export function Suggest({ options, ...rest }: ComponentProps<"input"> & { options: string[] }) {
  const list = useId();
  return (
    <>
      <Input list={list} autoComplete="off" spellCheck={false} {...rest} />
      <datalist id={list}>
        {options.map((option) => (
          <option key={option} value={option} />
        ))}
      </datalist>
    </>
  );
}

interface FieldProps {
  label: string;
  hint?: ReactNode;
  error?: string | null;
  className?: string;
  children: (props: {
    id: string;
    "aria-describedby"?: string;
    "aria-invalid"?: true;
  }) => ReactNode;
}

export function Field({ label, hint, error, className, children }: FieldProps) {
  const id = useId();
  const described = hint || error ? `${id}-about` : undefined;
  return (
    <div className={cn("flex min-w-0 flex-col gap-1", className)}>
      <label htmlFor={id} className="text-xs font-medium text-muted">
        {label}
      </label>
      {children({
        id,
        ...(described ? { "aria-describedby": described } : {}),
        ...(error ? { "aria-invalid": true as const } : {}),
      })}
      {described && (
        <p id={described} className={cn("text-xs", error ? "text-deny" : "text-faint")}>
          {error ?? hint}
        </p>
      )}
    </div>
  );
}

export function Checkbox({
  label,
  className,
  ...rest
}: ComponentProps<"input"> & { label: ReactNode }) {
  const id = useId();
  return (
    <label htmlFor={id} className={cn("inline-flex items-center gap-2 text-sm", className)}>
      <input id={id} type="checkbox" className="size-4 accent-accent" {...rest} />
      <span>{label}</span>
    </label>
  );
}
