// A governed function: each call is decided before it runs, and signed afterwards.
import { governed, PolicyDenied, sentinel } from '@sentinel-mcp/client';

const find = ({ query }) => `three pages about ${query}`;
const search = governed('langsmith-docs-search', find, { purpose: 'documentation_lookup' });

const { result, decisionId, signature } = await search.run({ query: 'kill switches' });
console.log(result);
console.log(`allowed by decision ${decisionId}, signed as manifest ${await signature.wait()}`);

// The same tool for another purpose: policy denies it, and the function does not run.
const advertise = governed('langsmith-docs-search', find, { purpose: 'marketing' });
try {
  await advertise({ query: 'kill switches' });
} catch (error) {
  if (!(error instanceof PolicyDenied)) throw error;
  console.log(error.modelMessage);
}

await sentinel().close();
