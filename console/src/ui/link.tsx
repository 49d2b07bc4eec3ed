import Link from "next/link";
import type { ReactNode } from "react";
import { cn } from "./class-names";

interface Props {
  href: string;
  className?: string;
  title?: string;
  children: ReactNode;
}

/** A link within the console. It fetches nothing before it is followed. */
export function TextLink({ href, className, title, children }: Props) {
  return (
    <Link
      href={href}
      prefetch={false}
      title={title}
      className={cn(
        "text-accent underline decoration-accent/40 underline-offset-2 hover:decoration-accent",
        className,
      )}
      onClick={(event) => event.stopPropagation()}
    >
      {children}
    </Link>
  );
}
