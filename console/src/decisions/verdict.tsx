import { Ban, Check } from "lucide-react";
import { Badge } from "@/ui/badge";

/** What was decided; anything that is not an allow is shown as a deny. */
export function Verdict({ decision }: { decision: string }) {
  return decision === "allow" ? (
    <Badge tone="allow">
      <Check aria-hidden /> allow
    </Badge>
  ) : (
    <Badge tone="deny">
      <Ban aria-hidden /> deny
    </Badge>
  );
}
