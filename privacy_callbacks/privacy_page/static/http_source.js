/**
 * The page's data from TensorBoard's server, at addresses relative to the plugin's own.
 */

/** A source that asks the server; a refusal becomes an Error with its sentence. */
export function httpSource(base = "./") {
  const of = (run, name) => `run=${encodeURIComponent(run)}&name=${encodeURIComponent(name)}`;
  return {
    partial: false,
    overview: () => answerOf(`${base}overview`),
    details: (run, name, from, to) => answerOf(`${base}details?${of(run, name)}&from=${from}&to=${to}`),
    records: (run, name) => answerOf(`${base}records?${of(run, name)}`),
  };
}

async function answerOf(address) {
  let response;
  try {
    response = await fetch(address, { cache: "no-store" });
  } catch {
    throw new Error("TensorBoard does not answer; it may have been stopped.");
  }
  let content = null;
  try {
    content = await response.json();
  } catch {
    throw new Error(`TensorBoard answered with something else than data (status ${response.status}).`);
  }
  if (!response.ok) throw new Error(typeof content?.error === "string" ? content.error : `TensorBoard answered with status ${response.status}.`);
  return content;
}
