import { join } from 'node:path';
import type { Json } from '../base/canonical.ts';
import type { Project, ResolvedImage } from './project.ts';
import { imageJson } from './resolved-image.ts';

export interface ProjectJson {
  readonly Images: readonly Readonly<Record<string, Json>>[];
  readonly Tools: Readonly<Record<string, Json>> | null;
}

/**
 * A project in the shape of `mkosi summary --json`. Words that stand for other images become the paths where mkosi would put
 * them: `default` in ToolsTree= and Initrds=. Secrets are in it only where they are asked for.
 */
export function projectJson(project: Project, options: { readonly revealSecrets: boolean }): ProjectJson {
  const { images, tools } = project;
  const initrd = images.find(({ name }) => name === 'default-initrd');
  const places = { ...(tools && { tools: outputOf(tools) }), ...(initrd && { initrd: outputOf(initrd) }) };
  const json = (image: ResolvedImage): Readonly<Record<string, Json>> => ({
    ...imageJson(image, options),
    ...companionPaths(image, places),
    Files: image.files.filter(({ failed }) => failed.length === 0).map(({ path }) => path),
  });
  return { Images: images.map(json), Tools: tools === undefined ? null : json(tools) };
}

function outputOf({ config }: ResolvedImage): string {
  return join(config.OutputDirectory, config.Output);
}

interface CompanionPlaces {
  readonly tools?: string;
  readonly initrd?: string;
}

function companionPaths({ config }: ResolvedImage, places: CompanionPlaces): Readonly<Record<string, Json>> {
  const { ToolsTree: tools, Initrds: initrds } = config;
  return {
    ToolsTree: tools === 'default' ? (places.tools ?? tools) : tools === 'no' ? null : (tools ?? null),
    Initrds: initrds.map((path) => (path === 'default' ? (places.initrd ?? path) : path)),
  };
}
