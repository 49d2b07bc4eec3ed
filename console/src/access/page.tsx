"use client";

import { useMay } from "@/session/store";
import { Forbidden } from "@/ui/states";
import { Tabs } from "@/ui/tabs";
import { useUrlState } from "@/ui/url-state";
import { Keys } from "./keys";
import { RoleTable } from "./roles";
import { Tenants } from "./tenants";

const TABS = [
  { value: "keys", label: "Keys" },
  { value: "roles", label: "Roles" },
  { value: "tenants", label: "Tenants" },
];

export function AccessPage() {
  const [query, set] = useUrlState();
  const mayManage = useMay("manageKeys");
  const tab = query.get("tab") ?? "keys";
  return (
    <div className="flex min-h-0 flex-1 flex-col bg-panel">
      <Tabs label="Access" value={tab} onChange={(value) => set({ tab: value })} tabs={TABS}>
        {tab === "roles" ? (
          <RoleTable />
        ) : tab === "tenants" ? (
          <Tenants />
        ) : mayManage ? (
          <Keys />
        ) : (
          <Forbidden capability="manageKeys" />
        )}
      </Tabs>
    </div>
  );
}
