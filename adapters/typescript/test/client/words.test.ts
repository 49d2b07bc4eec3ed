import { ControlPlaneUnavailable, PolicyDenied } from '@sentinel-mcp/client';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import openapi from '../../../../docs/openapi.json' with { type: 'json' };

const CODES = openapi.components.schemas.CheckAnswer.properties.code.enum.filter(
  (code) => code !== 'allowed',
);
const AVOIDED = /not found|unauthorized|authentication/i;

test('every reason code has words of its own, which begin with the decision and say not to retry', () => {
  const other = new PolicyDenied('why', 'a_code_of_a_later_version').modelMessage;
  expect(other).toMatch(/^Denied: why\. /);
  for (const code of CODES) {
    const text = new PolicyDenied('why', code, 'd1').modelMessage;
    expect(text).toMatch(/^(Denied|Stopped by an operator)/);
    expect(text).toMatch(/do not retry|Do not retry/);
    expect(text).toContain(`(code ${code}, decision d1)`);
    expect(text.split(':')[0], code).not.toBe('Denied');
  }
});

test('no text has words that clients misread, whatever the reason is', () => {
  const parts = fc.oneof(
    fc.constantFrom('Not Found', 'UNAUTHORIZED', 'authentication', 'not ununauthorizedauthorized'),
    fc.constantFrom('not not foundfound', '\n\u0007', '\u2028', '\ud800'),
    fc.string({ unit: 'binary', maxLength: 80 }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...CODES), fc.array(parts, { maxLength: 12 }), (code, reason) => {
      for (const error of [
        new PolicyDenied(reason.join(''), code, 'd1'),
        new ControlPlaneUnavailable(reason.join(''), code),
      ]) {
        expect(error.modelMessage).not.toMatch(AVOIDED);
        expect(error.modelMessage).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        expect(error.modelMessage.isWellFormed()).toBe(true);
        expect(error.modelMessage.length).toBeLessThan(1_500);
      }
    }),
  );
});
