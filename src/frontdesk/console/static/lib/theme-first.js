// Runs before the first paint, so that the chosen theme does not flash the other one. A classic script: modules run later.
{
  try {
    const theme = localStorage.getItem("frontdesk.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
  } catch {
    // storage is forbidden: the system's theme it is
  }
}
