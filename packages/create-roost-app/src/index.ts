export { createProject, whatNext } from './create-project.ts';
export type { CreatedProject } from './create-project.ts';
export { ProjectError } from './errors.ts';
