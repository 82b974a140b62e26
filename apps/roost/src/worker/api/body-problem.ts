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
