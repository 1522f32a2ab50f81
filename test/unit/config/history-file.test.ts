import { describe, expect, it } from 'vitest';
import { nextVersion } from '../../../src/config/bump.ts';
import { historyText, parseHistory, withHistory } from '../../../src/config/history-file.ts';

const given = (setting: string, text: string): { setting: string; text: string; flag: string } => ({
  setting,
  text,
  flag: `--${setting}=${text}`,
});

describe('the next version', () => {
  it.each([
    [undefined, '1'],
    ['', '1'],
    ['7', '8'],
    ['1.9', '1.10'],
    ['2026.11.20', '2026.11.21'],
    ['1.0~rc1', '1.0~rc1.2'],
    ['99999999999999999999', '100000000000000000000'],
  ])('of %s is %s', (version, next) => {
    expect(nextVersion(version)).toBe(next);
  });
});

describe('the history of a build', () => {
  it('keeps what made the image, without secrets', () => {
    const all = [
      given('ImageId', 'x'),
      given('RootPassword', 'swamp'),
      given('RAM', '4G'),
      given('Include', 'a'),
    ];
    const history = parseHistory(historyText(all));
    expect(history?.assignments.map(({ setting, text }) => [setting, text])).toEqual([['ImageId', 'x']]);
  });

  it('decides over what is given now, except for running', () => {
    const history = parseHistory(historyText([given('ImageId', 'x'), given('Packages', 'a')]));
    if (history === undefined) throw new Error('no history');
    const { assignments, ignored } = withHistory(history, [given('ImageId', 'y'), given('RAM', '4G')]);
    expect(assignments.map(({ setting, text }) => `${setting}=${text}`)).toEqual([
      'ImageId=x',
      'Packages=a',
      'RAM=4G',
    ]);
    expect(ignored.map(({ text }) => text)).toEqual(['y']);
  });

  it.each(['', '[]', '{"assignments":7}', 'null'])('is none in %j', (text) => {
    expect(parseHistory(text)).toBeUndefined();
  });

  it('leaves out what it does not know', () => {
    expect(parseHistory('{"assignments":[{"setting":"Gone","text":"x"},7]}')?.assignments).toEqual([]);
  });
});
