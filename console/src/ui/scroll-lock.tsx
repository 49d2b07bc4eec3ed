import type { ElementType, ReactNode, Ref } from "react";

interface Props {
  as?: ElementType;
  children?: ReactNode;
  ref?: Ref<HTMLElement>;
  allowPinchZoom?: boolean;
  shards?: unknown;
  enabled?: boolean;
  [other: string]: unknown;
}

/**
 * Stands in for `react-remove-scroll`, which Radix uses and which adds `<style>` elements that the
 * content security policy refuses. `globals.css` locks scrolling while `data-scroll-lock` is there.
 */
export function RemoveScroll({ as: As = "div", allowPinchZoom, shards, enabled, ...rest }: Props) {
  return <As data-scroll-lock="" {...rest} />;
}
