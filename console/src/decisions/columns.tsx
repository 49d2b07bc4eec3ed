import type { Column } from "@/ui/grid";
import { duration, grouped } from "@/ui/number";
import { Time } from "@/ui/time";
import type { Row } from "./filter";
import { Verdict } from "./verdict";

export const COLUMNS: Column<Row>[] = [
  {
    id: "time",
    header: "Time",
    width: "7.5rem",
    cell: (row) => <Time at={row.created_at} className="tabular text-muted" />,
    from: 460,
  },
  {
    id: "decision",
    header: "Decision",
    width: "4.5rem",
    cell: (row) => <Verdict decision={row.decision} />,
  },
  {
    id: "tool",
    header: "Tool",
    width: "minmax(9rem, 3fr)",
    cell: (row) => (
      <span title={`${row.tenant}/${row.tool}`}>
        <span className="text-faint">{row.tenant}/</span>
        {row.tool}
      </span>
    ),
  },
  {
    id: "code",
    header: "Code",
    width: "minmax(7rem, 1.6fr)",
    cell: (row) => (
      <code
        className={
          row.decision === "allow" ? "font-mono text-xs text-muted" : "font-mono text-xs text-deny"
        }
      >
        {row.code}
      </code>
    ),
  },
  {
    id: "reason",
    header: "Reason",
    width: "minmax(8rem, 3fr)",
    cell: (row) => (
      <span className="text-muted" title={row.reason}>
        {row.reason}
      </span>
    ),
    from: 900,
  },
  {
    id: "agent",
    header: "Agent",
    width: "minmax(6rem, 1.4fr)",
    cell: (row) => row.agent ?? <span className="text-faint">none</span>,
    from: 640,
  },
  {
    id: "action",
    header: "Action",
    width: "minmax(4rem, 0.8fr)",
    cell: (row) => row.action,
    from: 1180,
  },
  {
    id: "purpose",
    header: "Purpose",
    width: "minmax(6rem, 1.4fr)",
    cell: (row) => row.purpose ?? <span className="text-faint">none</span>,
    from: 1040,
  },
  {
    id: "quota",
    header: "Quota left",
    width: "5rem",
    align: "right",
    cell: (row) =>
      row.quota_remaining === null ? (
        <span className="text-faint">–</span>
      ) : (
        <span className="tabular">{grouped(row.quota_remaining)}</span>
      ),
    from: 1180,
  },
  {
    id: "took",
    header: "Took",
    width: "4.5rem",
    align: "right",
    cell: (row) => <span className="tabular text-muted">{duration(row.duration_us)}</span>,
    from: 760,
  },
];
