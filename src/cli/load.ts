/** Reading the project, for verbs that need no more of a session than this. */
export { readProject } from './session/project.ts';
