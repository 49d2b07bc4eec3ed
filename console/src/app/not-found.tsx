import Link from "next/link";

export default function NotFound() {
  return (
    <div className="mx-auto flex max-w-md flex-col gap-2 p-10">
      <h1 className="text-lg font-semibold">There is no such page</h1>
      <p className="text-muted">The address may be of another version of the console.</p>
      <Link className="text-accent underline" href="/">
        Overview
      </Link>
    </div>
  );
}
