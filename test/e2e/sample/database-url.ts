/** The PostgreSQL server of the test run; every spec makes a database of its own on it. */
export function databaseUrl(): string {
  const value = process.env['DATABASE_URL'];
  if (!value) throw new Error('DATABASE_URL is not set. Start a PostgreSQL and set it, or run npm test.');
  return value;
}
