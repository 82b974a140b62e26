import type { FarmProcess } from '@roost/testing';

export const ADMIN_TOKEN = 'only-for-those-who-run-the-farm';

/** A farm whose dashboard may be called. */
export const WITH_ADMIN = ['--admin-port', '0', '--admin-token', ADMIN_TOKEN];

export const AS_ADMIN = { Authorization: `Bearer ${ADMIN_TOKEN}`, Connection: 'close' };

export async function adminPortOf(farm: FarmProcess): Promise<number> {
  const { metrics } = await farm.log(({ msg }) => msg === 'admin listener open');
  return Number(new URL(String(metrics)).port);
}

/** Status and JSON body of a call of the dashboard. A body that is a string is sent as it is. */
export async function callAdmin(
  port: number,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { ...AS_ADMIN, ...(body !== undefined && { 'Content-Type': 'application/json' }) },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}
