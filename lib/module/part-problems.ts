/** What a feature's boot check threw, as a line for the list of problems. */
export async function problemsOf(feature: string, check: () => Promise<void>): Promise<readonly string[]> {
  try {
    await check();
    return [];
  } catch (error) {
    return [`${feature}: ${error instanceof Error ? error.message : String(error)}`];
  }
}
