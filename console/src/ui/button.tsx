import { Slot } from "radix-ui";
import type { ComponentProps } from "react";
import { cn } from "./class-names";

const KINDS = {
  primary: "bg-accent text-accent-fg hover:opacity-90 font-medium",
  secondary: "border bg-panel hover:bg-hover text-fg",
  ghost: "hover:bg-hover text-muted hover:text-fg",
  danger: "bg-danger text-danger-fg hover:bg-danger-hover font-medium",
  dangerGhost: "text-deny hover:bg-deny-soft",
} as const;

const SIZES = {
  md: "h-8 px-3",
  sm: "h-7 px-2 text-xs",
  lg: "h-9 px-3",
  icon: "size-8 justify-center",
  tiny: "size-6 justify-center [&_svg]:size-3.5",
} as const;

interface Props extends ComponentProps<"button"> {
  kind?: keyof typeof KINDS;
  size?: keyof typeof SIZES;
  asChild?: boolean;
}

export function Button({ kind = "secondary", size = "md", asChild, className, ...rest }: Props) {
  const As = asChild ? Slot.Root : "button";
  return (
    <As
      {...(asChild ? {} : { type: "button" as const })}
      className={cn(
        "inline-flex shrink-0 items-center gap-1.5 whitespace-nowrap rounded-md transition-colors",
        "disabled:cursor-not-allowed disabled:opacity-50 [&_svg]:shrink-0",
        size !== "tiny" && "[&_svg]:size-4",
        KINDS[kind],
        SIZES[size],
        className,
      )}
      {...rest}
    />
  );
}
