/** What each method takes. `data` has become text by then; see readRequest(). */
const payload = { data: { type: 'string' }, b64data: { type: 'string' } } as const;

export const PUBLISH_SCHEMA = {
  type: 'object',
  properties: { channel: { type: 'string' }, ...payload },
  required: ['channel'],
  additionalProperties: false,
} as const;

export const BROADCAST_SCHEMA = {
  type: 'object',
  properties: { channels: { type: 'array', items: { type: 'string' }, minItems: 1 }, ...payload },
  required: ['channels'],
  additionalProperties: false,
} as const;

export const INFO_SCHEMA = { type: 'object', properties: {}, additionalProperties: false } as const;

export const CHANNELS_SCHEMA = {
  type: 'object',
  properties: { pattern: { type: 'string', minLength: 1, maxLength: 1024 } },
  additionalProperties: false,
} as const;

/** A problem that the validator reports, as far as it is passed on. */
export interface SchemaProblem {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string;
}

/** The complaint in words that name the field. */
export function describeProblem(problem: SchemaProblem | undefined): string {
  if (problem === undefined) return 'the body does not fit';
  const field = problem.instancePath === '' ? 'the body' : JSON.stringify(problem.instancePath.slice(1));
  switch (problem.keyword) {
    case 'required':
      return `"${String(problem.params['missingProperty'])}" is missing`;
    case 'additionalProperties':
      return `${JSON.stringify(problem.params['additionalProperty'])} is not a field of this method`;
    default:
      return `${field} ${problem.message ?? 'does not fit'}`;
  }
}
