import { ADMIN_OPERATIONS } from '../admin/operations.ts';
import type { Api } from './document.ts';

/** What the admin listener answers to operators and their programs. */
export const ADMIN_API: Api = {
  title: 'Roost admin API',
  description: `The port of \`admin.port\`, on the address of \`admin.host\`: for those who run the farm, never for clients. Another path or method is answered with 404. The pages of the dashboard are there, too.`,
  port: 8081,
  tags: { Watching: 'What the farm does.', Acting: 'What changes something: it is logged.' },
  security: {
    adminToken: { type: 'http', scheme: 'bearer', description: 'The token of the option `admin.token`.' },
  },
  operations: ADMIN_OPERATIONS,
};
