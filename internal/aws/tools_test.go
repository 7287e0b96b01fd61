package aws_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/need"
	"github.com/dalamb/dalamb/internal/need/client"
)

// tools are AWS's command line and boto3, pointed at a node by the environment that dalamb token create --aws prints.
type tools struct {
	*node
	dir string // that is theirs
	env []string
}

func (n *node) tools() tools {
	n.Helper()
	c := client.AWSTools()
	dir := n.TempDir()
	return tools{n, dir, append(os.Environ(), "HOME="+dir, "PYTHONPATH="+need.Tools(n.T, c), "PYTHONDONTWRITEBYTECODE=1", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID="+n.key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+n.key.SecretAccessKey, "AWS_ENDPOINT_URL_LAMBDA="+n.control, "AWS_ENDPOINT_URL_EVENTBRIDGE="+n.control, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1")}
}

func (c tools) run(program string, args ...string) (string, error) {
	c.Helper()
	cmd := exec.CommandContext(c.Context(), program, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// aws runs a command of AWS's command line, and checks what it prints for parts.
func (c tools) aws(command string, parts ...string) {
	c.Helper()
	c.service("lambda", command, parts...)
}

// service does it with a service of AWS's.
func (c tools) service(name, command string, parts ...string) {
	c.Helper()
	args := append(client.AWSTools().Command[1:], name)
	out, err := c.run(client.AWSTools().Command[0], append(args, strings.Fields(command)...)...)
	if err != nil {
		c.Fatalf("aws %s %s: %v\n%s", name, command, err, out)
	}
	for _, part := range parts {
		if !strings.Contains(out, part) {
			c.Errorf("aws %s %s prints no %s:\n%s", name, command, part, out)
		}
	}
}

func TestTheCommandLineOfAWS(t *testing.T) {
	n := startNode(t)
	c := n.tools()
	ok(t, os.WriteFile(filepath.Join(c.dir, "one.zip"), archive(t, "one"), 0o600))
	ok(t, os.WriteFile(filepath.Join(c.dir, "two.zip"), archive(t, "two"), 0o600))
	c.aws("create-function --function-name pay --runtime provided.al2023 --handler main --role arn:aws:iam::000000000000:role/any --zip-file fileb://one.zip --timeout 20",
		`"FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:pay"`, `"State": "Active"`, `"Version": "$LATEST"`)
	c.aws("wait function-active-v2 --function-name pay")
	c.aws("update-function-code --function-name pay --zip-file fileb://two.zip --publish", `"Version": "2"`)
	c.aws(`invoke --function-name pay --qualifier 1 --payload {"order":1} out.json`, `"StatusCode": 200`, `"ExecutedVersion": "1"`)
	c.aws("invoke --function-name pay --log-type Tail --query LogResult --output text tail.json", base64.StdEncoding.EncodeToString([]byte("START RequestId: ")[:15]))
	text, err := os.ReadFile(filepath.Join(c.dir, "out.json"))
	var told map[string]any
	if err != nil || json.Unmarshal(text, &told) != nil || told["code"] != "one" {
		t.Errorf("aws lambda invoke wrote %s, %v", text, err)
	}
	c.aws("list-functions --max-items 1 --query Functions[].FunctionName", `"pay"`)
	out, err := c.run(client.AWSTools().Command[0], "-m", "awscli", "lambda", "get-function", "--function-name", "none")
	if err == nil || !strings.Contains(out, "An error occurred (ResourceNotFoundException) when calling the GetFunction operation: Function not found: arn:aws:lambda:us-east-1:000000000000:function:none") {
		t.Errorf("aws lambda get-function of none: %v\n%s", err, out)
	}
	c.aws("delete-function --function-name pay --qualifier 1")
	c.aws("list-versions-by-function --function-name pay --query Versions[].Version --output text", "$LATEST\t2\n")
	c.aws("delete-function --function-name pay")
}

// story is what boto3 does: the clients' own waiters, paginators and exceptions.
const story = `
import base64, boto3, json, re, sys
c = boto3.client("lambda")
code = lambda name: open(name, "rb").read()
made = c.create_function(FunctionName="pay", Runtime="provided.al2", Handler="main", Role="any", Code={"ZipFile": code("one.zip")}, Timeout=20, Tags={"team": "shop"})
c.get_waiter("function_active_v2").wait(FunctionName="pay")
c.update_function_code(FunctionName="pay", ZipFile=code("two.zip"))
c.get_waiter("function_updated_v2").wait(FunctionName="pay")
version = c.publish_version(FunctionName="pay")["Version"]
assert version == "2", version
c.create_alias(FunctionName="pay", Name="blue", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
seen = {json.load(c.invoke(FunctionName="pay", Qualifier="blue", Payload=b"{}")["Payload"])["code"] for _ in range(40)}
assert seen == {"one", "two"}, seen
tail = base64.b64decode(c.invoke(FunctionName="pay", LogType="Tail")["LogResult"]).decode()
assert re.fullmatch(r"START RequestId: (\S+) Version: 2\ncode two\nEND RequestId: \1\nREPORT RequestId: \1\tDuration: [0-9.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB(\tInit Duration: [0-9.]+ ms)?\t\n", tail), tail
assert c.invoke(FunctionName="pay", InvocationType="DryRun")["StatusCode"] == 204
assert c.invoke(FunctionName="pay", InvocationType="Event", Payload=b"{}")["StatusCode"] == 202
names = [v["Version"] for page in c.get_paginator("list_versions_by_function").paginate(FunctionName="pay", PaginationConfig={"PageSize": 1}) for v in page["Versions"]]
assert names == ["$LATEST", "1", "2"], names
try:
    c.update_function_configuration(FunctionName="pay", Timeout=5, RevisionId=made["RevisionId"])
    sys.exit("an older revision is taken")
except c.exceptions.PreconditionFailedException as e:
    pass
try:
    c.create_function(FunctionName="pay", Runtime="provided.al2", Handler="main", Role="any", Code={"ZipFile": code("one.zip")})
    sys.exit("a function is made twice")
except c.exceptions.ResourceConflictException as e:
    assert "Function already exist: pay" in str(e), e
try:
    c.list_layers()
    sys.exit("there are layers")
except c.exceptions.ClientError as e:
    assert e.response["Error"]["Code"] == "NotImplementedException", e
arn = made["FunctionArn"]
c.tag_resource(Resource=arn, Tags={"env": "test"})
c.untag_resource(Resource=arn, TagKeys=["team", "none"])
assert c.list_tags(Resource=arn)["Tags"] == {"env": "test"}
assert c.get_function(FunctionName="pay")["Tags"] == {"env": "test"}
assert c.get_account_settings()["AccountUsage"]["FunctionCount"] == 1
c.delete_function(FunctionName="pay")
try:
    c.get_function(FunctionName="pay")
    sys.exit("a deleted function is there")
except c.exceptions.ResourceNotFoundException:
    pass
`

func TestBoto3(t *testing.T) {
	n := startNode(t)
	c := n.tools()
	ok(t, os.WriteFile(filepath.Join(c.dir, "one.zip"), archive(t, "one"), 0o600))
	ok(t, os.WriteFile(filepath.Join(c.dir, "two.zip"), archive(t, "two"), 0o600))
	if out, err := c.run(client.AWSTools().Command[0], "-c", story); err != nil {
		t.Errorf("boto3: %v\n%s", err, out)
	}
}
