// Sets the theme before anything is painted. A file, since the policy allows no inline script.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("sentinel.theme");
  } catch {}
  const dark =
    chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
