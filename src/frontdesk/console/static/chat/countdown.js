// Seconds until a moment, counted down on the page.
import { useEffect, useState } from "../vendor/preact-htm.js";

/**
 * @param {number | null} until milliseconds since the epoch
 * @returns {number} whole seconds left, at least 0
 */
export function useCountdown(until) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (until === null) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [until]);
  return until === null ? 0 : Math.max(0, Math.ceil((until - now) / 1000));
}
