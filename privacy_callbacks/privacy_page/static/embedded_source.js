/**
 * The page's data from inside its own file.
 */

/** A source that looks up what the file holds; see the contract of the one-file page's data. */
export function embeddedSource(data) {
  const runs = data.overview?.runs ?? [];
  return {
    partial: Boolean(data.thinned),
    overview: async () => data.overview,
    details: async (id, name, from, to) => ({
      details: (data.details?.[id] ?? []).filter((item) => item.step >= from && item.step <= to),
      more: false,
    }),
    records: async (id) => {
      const run = runs.find((one) => one.attacks.some((attack) => attack.id === id));
      return data.records?.[run?.id] ?? { tables: [], pictures: {}, problems: [] };
    },
  };
}
