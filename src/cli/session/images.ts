import type { ImageName } from '../../base/brand.ts';
import { ConfigurationError } from '../../base/errors.ts';
import { closest } from '../../base/suggestion.ts';
import type { Project, ResolvedImage } from '../../config/project.ts';
import { dependenciesOf } from '../../plan/project.ts';
import type { VerbContext, VerbOption } from '../verb.ts';

/** Of verbs that act on one image. */
export const imageOption: VerbOption = {
  name: 'image',
  takesValue: true,
  summary: 'The image of the project to act on; main when it is not given',
};

/** The same choice as an argument for another run of mkimg. */
export function imageFlag({ options }: Pick<VerbContext, 'options'>): readonly string[] {
  const name = options.extra[imageOption.name];
  return name === undefined ? [] : [`--${imageOption.name}=${name}`];
}

/** The images that are built for their own sake: the default initrd and the tools are made where something needs them. */
export function buildableImages({ images }: Pick<Project, 'images'>): readonly ResolvedImage[] {
  return images.filter(({ name }) => name !== 'default-initrd' && name !== 'tools');
}

/**
 * The image that `--image` names, else the main one.
 * @throws ConfigurationError when the project has no such image
 */
export function selectImage(
  project: Pick<Project, 'images' | 'main'>,
  { options }: Pick<VerbContext, 'options'>,
): ResolvedImage {
  const name = options.extra[imageOption.name];
  if (name === undefined) return project.main;
  const found = project.images.find((image) => image.name === name);
  if (found !== undefined) return found;
  const names = project.images.map((image) => image.name);
  const near = closest(name, names);
  throw new ConfigurationError([
    {
      ...{ severity: 'error', code: 'unknown-image', message: `the project has no image '${name}'` },
      origin: { kind: 'flag', text: `--image=${name}` },
      hint: near === undefined ? `It has ${names.join(', ')}.` : `Did you mean ${near}?`,
    },
  ]);
}

/**
 * The image that `--image` names, else the main one; `tools` is that of the tools tree.
 * @throws ConfigurationError when the project has no such image
 */
export function selectDescribedImage(project: DescribedProject, context: WithOptions): ResolvedImage {
  const images = [...(project.tools === undefined ? [] : [project.tools]), ...project.images];
  return selectImage({ ...project, images }, context);
}

type DescribedProject = Pick<Project, 'images' | 'main' | 'tools'>;
type WithOptions = Pick<VerbContext, 'options'>;

/**
 * All images that have a configuration, in the order in which they are built, that of the tools tree first; only the one
 * that `--image` names, if it is given.
 * @throws ConfigurationError when the project has no such image
 */
export function describedImages(project: DescribedProject, context: WithOptions): readonly ResolvedImage[] {
  if (context.options.extra[imageOption.name] !== undefined) return [selectDescribedImage(project, context)];
  return [...(project.tools === undefined ? [] : [project.tools]), ...project.images];
}

/** The images whose outputs a build of `image` brings up to date: it and all of its Dependencies=. */
export function wantedImages(project: Pick<Project, 'images'>, image: ResolvedImage): readonly ImageName[] {
  return [...dependenciesOf(image, buildableImages(project)), image].map(({ name }) => name);
}
