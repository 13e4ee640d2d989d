// Drives npm `@flashbots/ethers-provider-bundle` 1.0.0: one JSON command a line on stdin, one JSON answer a line.
// Arguments: node URL, relay URL, key of the sender, key that signs for the relay.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { JsonRpcProvider, Network, Wallet } from "ethers";

// The package says "main" and is CommonJS.
const { FlashbotsBundleProvider, FlashbotsBundleResolution } = createRequire(import.meta.url)(
  "@flashbots/ethers-provider-bundle",
);

const [nodeUrl, relayUrl, senderKey, authKey] = process.argv.slice(2);
const provider = new JsonRpcProvider(nodeUrl, undefined, { staticNetwork: Network.from(1), cacheTimeout: -1 });
provider.pollingInterval = 20;
// The library learns of blocks by polling and takes the first number it sees for granted: count its polls.
let polls = 0;
const send = provider.send.bind(provider);
provider.send = async (method, params) => {
  const result = await send(method, params);
  if (method === "eth_blockNumber") polls += 1;
  return result;
};
const sender = new Wallet(senderKey, provider);
const relay = await FlashbotsBundleProvider.create(provider, new Wallet(authKey), relayUrl, 1);
const PAYER = "0x" + "9a".repeat(20);
let response;
let resolution;

const transactionOf = (command) => ({
  type: 2,
  chainId: 1,
  nonce: command.nonce,
  to: PAYER,
  value: BigInt(command.value),
  gasLimit: 60_000,
  maxFeePerGas: 100n * 10n ** 9n,
  maxPriorityFeePerGas: 10n ** 9n,
});
const bundleOf = (command) => [{ signer: sender, transaction: transactionOf(command) }];

function checked(answer) {
  if (answer?.error) throw new Error(answer.error.message);
  return answer;
}

const commands = {
  async simulate(command) {
    const signed = await relay.signBundle(bundleOf(command));
    const result = checked(await relay.simulate(signed, command.block, command.state));
    if (result.firstRevert) throw new Error(JSON.stringify(result.firstRevert));
    return {
      bundleHash: result.bundleHash,
      coinbaseDiff: result.coinbaseDiff.toString(),
      gasUsed: result.totalGasUsed,
    };
  },
  async send(command) {
    const options = command.uuid ? { replacementUuid: command.uuid } : undefined;
    response = checked(await relay.sendBundle(bundleOf(command), command.block, options));
    return { bundleHash: response.bundleHash };
  },
  // The library begins to watch; done once it has seen the present block.
  async watch() {
    const before = polls;
    resolution = response.wait();
    while (polls <= before + 1) await new Promise((resolve) => setTimeout(resolve, 5));
    return null;
  },
  async wait() {
    const landed = await resolution;
    const [receipt] = await response.receipts();
    return {
      resolution: FlashbotsBundleResolution[landed],
      status: receipt?.status,
      block: receipt?.blockNumber,
      index: receipt?.index,
    };
  },
  async cancel(command) {
    return checked(await relay.cancelBundles(command.uuid));
  },
  async send_private(command) {
    const answer = checked(
      await relay.sendPrivateTransaction(bundleOf(command)[0], { maxBlockNumber: command.block }),
    );
    return { hash: answer.transaction.hash };
  },
  async cancel_private(command) {
    return checked(await relay.cancelPrivateTransaction(command.hash));
  },
  async statistics() {
    return checked(await relay.getUserStatsV2());
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await commands[command.do](command)) ?? null };
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  console.log(JSON.stringify(answer));
}
provider.destroy();
