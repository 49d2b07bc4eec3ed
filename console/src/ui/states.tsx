import { CircleSlash, Lock, RotateCw, ServerCrash, Unplug } from "lucide-react";
import type { ReactNode } from "react";
import { type Problem, problemOf } from "@/api/problem";
import { type Capability, rolesFor } from "@/session/capabilities";
import { useRole } from "@/session/store";
import { Button } from "./button";
import { cn } from "./class-names";

interface Frame {
  icon: ReactNode;
  title: string;
  className?: string;
  role?: "alert" | "status";
  children?: ReactNode;
}

function State({ icon, title, className, role, children }: Frame) {
  return (
    <div
      role={role}
      className={cn(
        "flex flex-col items-center justify-center gap-2 px-6 py-10 text-center [&>svg]:size-6",
        className,
      )}
    >
      {icon}
      <p className="font-medium">{title}</p>
      {children && <div className="max-w-md text-muted">{children}</div>}
    </div>
  );
}

/** There is nothing, and this is why or what to do. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <State icon={<CircleSlash className="text-faint" aria-hidden />} title={title}>
      {children}
    </State>
  );
}

/** The role may not: said before asking, and also when the server says so. */
export function Forbidden({ capability, problem }: { capability?: Capability; problem?: Problem }) {
  const role = useRole();
  const roles = capability ? rolesFor(capability) : [];
  return (
    <State icon={<Lock className="text-warn" aria-hidden />} title="Your key does not permit this">
      {roles.length > 0 ? (
        <p>
          You are signed in as <b>{role ?? "an unknown role"}</b>. This needs a key with the role{" "}
          {roles.map((name, index) => (
            <span key={name}>
              {index > 0 && (index === roles.length - 1 ? " or " : ", ")}
              <b>{name}</b>
            </span>
          ))}
          .
        </p>
      ) : null}
      {problem && <p className="mt-1">{problem.detail}</p>}
    </State>
  );
}

interface FailedProps {
  error: unknown;
  what: string;
  capability?: Capability;
  retry?: () => void;
}

/** It could not be read: says so, and shows nothing that might be out of date. */
export function Failed({ error, what, capability, retry }: FailedProps) {
  const problem = problemOf(error);
  if (problem.forbidden)
    return <Forbidden {...(capability ? { capability } : {})} problem={problem} />;
  const Icon = problem.status === 0 ? Unplug : ServerCrash;
  return (
    <State
      role="alert"
      icon={<Icon className="text-deny" aria-hidden />}
      title={`${what} could not be read`}
    >
      <p>
        {problem.title}. {problem.detail}
      </p>
      <p className="mt-1 font-mono text-xs text-faint">
        {problem.code}
        {problem.requestId && ` · request ${problem.requestId}`}
      </p>
      {retry && (
        <Button className="mt-3" size="sm" onClick={retry}>
          <RotateCw aria-hidden /> Try again
        </Button>
      )}
    </State>
  );
}

/** What went wrong with something that the user did, next to where it was done. */
export function ProblemNote({ error }: { error: unknown }) {
  const problem = problemOf(error);
  return (
    <div role="alert" className="rounded-md border border-deny/40 bg-deny-soft px-3 py-2 text-fg">
      <p className="font-medium text-deny">{problem.title}</p>
      <p className="break-words">{problem.detail}</p>
      {problem.reasons.length > 0 && (
        <ul className="mt-1 list-disc pl-5 font-mono text-xs">
          {problem.reasons.map((reason) => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      )}
      <p className="mt-1 font-mono text-2xs text-muted">
        {problem.code}
        {problem.requestId && ` · request ${problem.requestId}`}
      </p>
    </div>
  );
}

export function Loading({ rows = 6, what }: { rows?: number; what: string }) {
  return (
    <div role="status" aria-label={`${what} is loading`} className="flex flex-col gap-2 p-3">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: rows of a placeholder have no identity
        <div key={row} className="h-5 animate-pulse rounded bg-raised" />
      ))}
    </div>
  );
}
