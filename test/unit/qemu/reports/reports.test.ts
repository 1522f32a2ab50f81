import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JunitCase } from '../../../../src/qemu/reports/junit.ts';
import { junitXml } from '../../../../src/qemu/reports/junit.ts';
import { timelineSvg } from '../../../../src/qemu/reports/timeline.ts';
import { xmlAttributes, xmlText } from '../../../../src/qemu/reports/xml.ts';

/** All texts and attributes of documents, as Python's parser (expat) reads them. @throws Error where one is no XML */
function parsed(documents: readonly string[]): readonly (readonly string[])[] {
  const program = `
import json, sys, xml.etree.ElementTree as tree
print(json.dumps([[*(e.text or '' for e in tree.fromstring(d).iter()), *(v for e in tree.fromstring(d).iter() for v in e.attrib.values())]
  for d in json.load(sys.stdin)]))`;
  const answer = execFileSync('python3', ['-c', program], {
    input: JSON.stringify(documents),
    encoding: 'utf8',
  });
  return JSON.parse(answer) as readonly (readonly string[])[];
}

const hostile = '</failure>&<script>"\'\u0000\u001b[2J\ud800\ufffe]]>';
const passed: JunitCase = {
  name: 'a',
  seconds: 1.5,
  outcome: { kind: 'passed' },
  output: [],
  results: undefined,
};

describe('a report for CI', () => {
  it('has a case for each test', () => {
    const failed = { kind: 'failed', type: 'timeout', message: 'too late', details: ['one', 'two'] } as const;
    expect(
      junitXml('main', [
        passed,
        { ...passed, name: 'b', outcome: failed, output: ['last line'], results: '/out/b' },
        { ...passed, name: 'c', seconds: 0, outcome: { kind: 'skipped', message: 'not here' } },
      ]),
    ).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="mkimg" tests="3" failures="1" errors="0" skipped="1" time="3.000">
  <testsuite name="main" tests="3" failures="1" errors="0" skipped="1" time="3.000">
    <testcase classname="main" name="a" time="1.500"/>
    <testcase classname="main" name="b" time="1.500">
      <failure type="timeout" message="too late">one
two</failure>
      <system-out>last line</system-out>
      <system-err>results in /out/b</system-err>
    </testcase>
    <testcase classname="main" name="c" time="0.000">
      <skipped message="not here"/>
    </testcase>
  </testsuite>
</testsuites>
`);
  });

  it('is XML whatever a guest wrote', () => {
    const texts = [hostile, ...fc.sample(fc.string({ unit: 'binary' }), 200)];
    const documents = texts.map((text) =>
      junitXml(text, [
        {
          ...passed,
          outcome: { kind: 'failed', type: text, message: text, details: [text] },
          output: [text],
        },
      ]),
    );
    expect(parsed(documents)).toHaveLength(texts.length);
    expect(documents[0]).not.toContain('\u001b');
  });
});

describe('XML', () => {
  it('gives text back as it was, but for what it cannot hold', () => {
    const texts = fc.sample(fc.string({ unit: 'grapheme' }), 200);
    const documents = texts.map((text) => `<a b="${xmlText(text)}">${xmlText(text)}</a>`);
    for (const [index, [text, attribute]] of parsed(documents).entries()) {
      const wanted = texts[index]?.replace(
        /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu,
        '\ufffd',
      );
      expect(text).toBe(wanted);
      expect(attribute).toBe(wanted?.replace(/[\t\n]/g, ' '));
    }
    expect(xmlAttributes({ a: 'x\ny', b: undefined, c: 1 })).toBe(' a="x y" c="1"');
  });
});

describe('a timeline', () => {
  const phases = { firmware: 2000, loader: 500, kernel: 1000, initrd: 2000, userspace: 4500, total: 10_000 };
  const unit = (
    name: string,
    begin: number,
    duration: number,
  ): { unit: string; begin: number; duration: number } => ({
    unit: name,
    begin,
    duration,
  });

  it('has the phases one behind the other, and units in the order of their starts', () => {
    const svg = timelineSvg('boot', {
      phases,
      slowestUnits: [unit('slow.service', 4000, 2000), unit('a.mount', 3500, 100)],
    });
    const titles = [...(svg ?? '').matchAll(/<title>(.*?)<\/title><rect x="(\d+)"/g)].map(([, title, x]) => [
      title,
      Number(x),
    ]);
    // 960 units for 10 seconds, after a margin of 20; the kernel starts after 2.5 seconds.
    expect(titles).toEqual([
      ['firmware 2.00 s', 20],
      ['loader 0.50 s', 212],
      ['kernel 1.00 s', 260],
      ['initrd 2.00 s', 356],
      ['userspace 4.50 s', 548],
      ['a.mount 0.10 s', 596],
      ['slow.service 2.00 s', 644],
    ]);
  });

  it('is none where the guest said nothing', () => {
    expect(timelineSvg('boot', { phases: {}, slowestUnits: [] })).toBeUndefined();
  });

  it('is XML of a bounded size whatever a guest said', () => {
    const names = fc.sample(fc.string({ unit: 'binary', maxLength: 5000 }), 100);
    const slowestUnits = [hostile, ...names].map((name, index) => unit(name, index * 1e9, 2 ** 53));
    const svg = timelineSvg(hostile, { phases, slowestUnits }) ?? '';
    expect(parsed([svg])).toHaveLength(1);
    expect(svg.length).toBeLessThan(100_000);
  });
});
