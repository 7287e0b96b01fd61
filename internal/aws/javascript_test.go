package aws_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/client"
)

// script is what AWS's SDK for JavaScript does with a node, by its own signatures, waiters, paginators, errors and streams.
const script = `
import assert from "node:assert"
import { readFileSync } from "node:fs"
import * as aws from "@aws-sdk/client-lambda"

const c = new aws.LambdaClient({ maxAttempts: 1 })
const pay = { FunctionName: "pay" }
const text = (bytes) => Buffer.from(bytes).toString()
const made = await c.send(new aws.CreateFunctionCommand({ ...pay, Runtime: "provided.al2023", Handler: "main", Role: "any", Timeout: 20, Code: { ZipFile: readFileSync("one.zip") } }))
assert.equal(made.State, "Active")
await aws.waitUntilFunctionActiveV2({ client: c, maxWaitTime: 60 }, pay)

const told = await c.send(new aws.InvokeCommand({ ...pay, Payload: JSON.stringify({ order: 1 }), LogType: "Tail" }))
assert.deepEqual(JSON.parse(text(told.Payload)).event, { order: 1 })
assert.match(Buffer.from(told.LogResult, "base64").toString(), /^START RequestId: [-0-9a-f]+ Version: 1\ncode one\nEND RequestId: .*\nREPORT RequestId: .*\tDuration: [0-9.]+ ms\t/)

const parts = []
let complete
for await (const e of (await c.send(new aws.InvokeWithResponseStreamCommand({ ...pay, Payload: "{}" }))).EventStream) {
	if (e.PayloadChunk) parts.push(text(e.PayloadChunk.Payload))
	if (e.InvokeComplete) complete = e.InvokeComplete
}
assert.equal(JSON.parse(parts.join("")).code, "one")
assert.ok(complete && !complete.ErrorCode)

await c.send(new aws.UpdateFunctionCodeCommand({ ...pay, ZipFile: readFileSync("two.zip") }))
await aws.waitUntilFunctionUpdatedV2({ client: c, maxWaitTime: 60 }, pay)
await c.send(new aws.CreateAliasCommand({ ...pay, Name: "blue", FunctionVersion: "1", RoutingConfig: { AdditionalVersionWeights: { 2: 0.5 } } }))
assert.deepEqual((await c.send(new aws.GetAliasCommand({ ...pay, Name: "blue" }))).RoutingConfig.AdditionalVersionWeights, { 2: 0.5 })
await assert.rejects(c.send(new aws.DeleteFunctionCommand({ ...pay, Qualifier: "1" })), aws.ResourceConflictException)
await c.send(new aws.DeleteAliasCommand({ ...pay, Name: "blue" }))
await c.send(new aws.DeleteFunctionCommand({ ...pay, Qualifier: "1" }))
const versions = []
for await (const page of aws.paginateListVersionsByFunction({ client: c, pageSize: 1 }, pay)) versions.push(...page.Versions.map((v) => v.Version))
assert.deepEqual(versions, ["$LATEST", "2"])
await c.send(new aws.DeleteFunctionCommand(pay))
await assert.rejects(c.send(new aws.GetFunctionCommand(pay)), aws.ResourceNotFoundException)
`

func TestTheSDKForJavaScript(t *testing.T) {
	packages := need.Tools(t, client.AWSJavaScript())
	n := startNode(t)
	dir := t.TempDir()
	c := tools{n, dir, append(os.Environ(), "HOME="+dir, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID="+n.key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+n.key.SecretAccessKey, "AWS_ENDPOINT_URL_LAMBDA="+n.control, "AWS_REGION=us-east-1")}
	ok(t, os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")))
	ok(t, os.WriteFile(filepath.Join(dir, "story.mjs"), []byte(script), 0o600))
	ok(t, os.WriteFile(filepath.Join(dir, "one.zip"), archive(t, "one"), 0o600))
	ok(t, os.WriteFile(filepath.Join(dir, "two.zip"), archive(t, "two"), 0o600))
	if out, err := c.run(client.AWSJavaScript().Command[0], "story.mjs"); err != nil {
		t.Errorf("AWS's SDK for JavaScript: %v\n%s", err, out)
	}
}
