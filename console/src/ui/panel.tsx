import type { ReactNode } from "react";
import { cn } from "./class-names";

interface Props {
  title?: ReactNode;
  actions?: ReactNode;
  about?: ReactNode;
  className?: string;
  bodyClassName?: string;
  children: ReactNode;
}

export function Panel({ title, actions, about, className, bodyClassName, children }: Props) {
  return (
    <section className={cn("flex min-w-0 flex-col rounded-lg border bg-panel", className)}>
      {(title || actions) && (
        <header className="flex min-h-10 flex-wrap items-center gap-x-3 gap-y-1 border-b px-3 py-1.5">
          <h2 className="font-semibold">{title}</h2>
          {about && <div className="min-w-0 text-xs text-faint">{about}</div>}
          {actions && <div className="ml-auto flex items-center gap-1.5">{actions}</div>}
        </header>
      )}
      <div className={cn("min-w-0 p-3", bodyClassName)}>{children}</div>
    </section>
  );
}

/** Names and what they are, one a line. */
export function Facts({ children, className }: { children: ReactNode; className?: string }) {
  return (
    <dl
      className={cn(
        "grid grid-cols-[minmax(7rem,max-content)_minmax(0,1fr)] gap-x-4 gap-y-1.5",
        className,
      )}
    >
      {children}
    </dl>
  );
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-xs leading-5 text-faint">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  );
}
