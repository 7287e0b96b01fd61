package aws_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	service "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// create makes a function of the provided runtime.
func (n *node) create(name, code string) *service.CreateFunctionOutput {
	n.Helper()
	out, err := n.lambda.CreateFunction(n.Context(), &service.CreateFunctionInput{
		FunctionName: &name, Runtime: types.RuntimeProvidedal2023, Handler: sdk.String("main"), Role: sdk.String("arn:aws:iam::000000000000:role/any"),
		Code: &types.FunctionCode{ZipFile: archive(n.T, code)}, Environment: &types.Environment{Variables: map[string]string{"LEVEL": "info"}},
		Timeout: sdk.Int32(20), Description: sdk.String("pays"), Tags: map[string]string{"team": "shop"},
	})
	ok(n.T, err)
	return out
}

// invoke calls a function and returns what it told of itself.
func (n *node) invoke(name, qualifier string) map[string]any {
	n.Helper()
	in := &service.InvokeInput{FunctionName: &name, Payload: []byte(`{"order":1}`)}
	if qualifier != "" {
		in.Qualifier = &qualifier
	}
	out, err := n.lambda.Invoke(n.Context(), in)
	ok(n.T, err)
	if out.FunctionError != nil {
		n.Fatalf("%s failed: %s", name, out.Payload)
	}
	var told map[string]any
	ok(n.T, json.Unmarshal(out.Payload, &told))
	return told
}

// refused checks the type and the status of an error.
func refused(t *testing.T, what string, err error, typ string, status int) {
	t.Helper()
	e, isAPI := errors.AsType[smithy.APIError](err)
	r, isResponse := errors.AsType[*smithyhttp.ResponseError](err)
	if !isAPI || !isResponse || e.ErrorCode() != typ || r.HTTPStatusCode() != status {
		t.Errorf("%s: %v, want %s with status %d", what, err, typ, status)
	}
}

func TestAStreamOfASignedCall(t *testing.T) {
	n := startNode(t)
	self, err := os.Executable()
	ok(t, err)
	_, err = n.lambda.CreateFunction(t.Context(), &service.CreateFunctionInput{
		FunctionName: sdk.String("tell"), Runtime: types.RuntimeProvidedal2023, Handler: sdk.String("main"), Role: sdk.String("arn:aws:iam::000000000000:role/any"),
		Code: &types.FunctionCode{ZipFile: zipped(t, map[string]string{"bootstrap": "#!/bin/sh\nexec '" + self + "' stream\n"})},
	})
	ok(t, err)
	out, err := n.lambda.InvokeWithResponseStream(t.Context(), &service.InvokeWithResponseStreamInput{FunctionName: sdk.String("tell"), Payload: []byte("{}")})
	ok(t, err)
	var got []byte
	ended := false
	for e := range out.GetStream().Events() {
		switch e := e.(type) {
		case *types.InvokeWithResponseStreamResponseEventMemberPayloadChunk:
			got = append(got, e.Value.Payload...)
		case *types.InvokeWithResponseStreamResponseEventMemberInvokeComplete:
			ended = e.Value.ErrorCode == nil
		}
	}
	if want := `{"statusCode":202}` + "\x00\x00\x00\x00\x00\x00\x00\x00piece by piece"; string(got) != want || !ended || out.GetStream().Err() != nil {
		t.Errorf("the stream is %q, at its end %v, %v; want %q", got, ended, out.GetStream().Err(), want)
	}
}

func TestAFunctionsLife(t *testing.T) {
	n := startNode(t)
	ctx := t.Context()
	name := sdk.String("pay")
	made := n.create("pay", "one")
	sum := sha256.Sum256(archive(t, "one"))
	if got := sdk.ToString(made.CodeSha256); got != base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("CodeSha256 = %s, want that of the archive", got)
	}
	if sdk.ToString(made.FunctionArn) != "arn:aws:lambda:us-east-1:000000000000:function:pay" || sdk.ToString(made.Version) != "$LATEST" || made.State != types.StateActive ||
		made.Runtime != "provided.al2023" || sdk.ToString(made.Handler) != "main" || sdk.ToInt32(made.MemorySize) != 128 || sdk.ToInt32(made.Timeout) != 20 || sdk.ToString(made.Description) != "pays" || made.EphemeralStorage == nil || *made.EphemeralStorage.Size != 512 {
		t.Errorf("CreateFunction = %+v", made)
	}
	ok(t, service.NewFunctionActiveV2Waiter(n.lambda).Wait(ctx, &service.GetFunctionInput{FunctionName: name}, time.Minute))
	told := n.invoke("pay", "")
	if told["code"] != "one" || told["handler"] != "main" || told["level"] != "info" || fmt.Sprint(told["event"]) != "map[order:1]" {
		t.Errorf("the function tells %v", told)
	}

	changed, err := n.lambda.UpdateFunctionCode(ctx, &service.UpdateFunctionCodeInput{FunctionName: name, ZipFile: archive(t, "two"), Publish: true, RevisionId: made.RevisionId})
	ok(t, err)
	if sdk.ToString(changed.Version) != "2" || !strings.HasSuffix(sdk.ToString(changed.FunctionArn), ":pay:2") {
		t.Errorf("UpdateFunctionCode with Publish = version %s, %s", sdk.ToString(changed.Version), sdk.ToString(changed.FunctionArn))
	}
	ok(t, service.NewFunctionUpdatedV2Waiter(n.lambda).Wait(ctx, &service.GetFunctionInput{FunctionName: name}, time.Minute))
	_, err = n.lambda.UpdateFunctionCode(ctx, &service.UpdateFunctionCodeInput{FunctionName: name, ZipFile: archive(t, "three"), RevisionId: made.RevisionId})
	refused(t, "an older revision", err, "PreconditionFailedException", 412)
	configured, err := n.lambda.UpdateFunctionConfiguration(ctx, &service.UpdateFunctionConfigurationInput{
		FunctionName: name, MemorySize: sdk.Int32(256), Environment: &types.Environment{Variables: map[string]string{"LEVEL": "debug"}}})
	ok(t, err)
	if sdk.ToInt32(configured.MemorySize) != 256 || sdk.ToInt32(configured.Timeout) != 20 || sdk.ToString(configured.CodeSha256) != sdk.ToString(changed.CodeSha256) {
		t.Errorf("UpdateFunctionConfiguration = %+v", configured)
	}
	for qualifier, want := range map[string]string{"": "two debug", "1": "one info", "2": "two info", "3": "two debug", "live": "two debug"} {
		if told := n.invoke("pay", qualifier); fmt.Sprint(told["code"], " ", told["level"]) != want {
			t.Errorf("qualifier %q tells %v, want %s", qualifier, told, want)
		}
	}
	published, err := n.lambda.PublishVersion(ctx, &service.PublishVersionInput{FunctionName: name, Description: sdk.String("for May"), CodeSha256: configured.CodeSha256})
	if err != nil || sdk.ToString(published.Version) != "3" || sdk.ToString(published.Description) != "for May" {
		t.Errorf("PublishVersion = %+v, %v", published, err)
	}
	_, err = n.lambda.PublishVersion(ctx, &service.PublishVersionInput{FunctionName: name, CodeSha256: made.CodeSha256})
	refused(t, "a version of other code", err, "InvalidParameterValueException", 400)

	got, err := n.lambda.GetFunction(ctx, &service.GetFunctionInput{FunctionName: sdk.String("arn:aws:lambda:us-east-1:000000000000:function:pay:3")})
	ok(t, err)
	if sdk.ToString(got.Configuration.Description) != "for May" || got.Tags["team"] != "shop" {
		t.Errorf("GetFunction = %+v with tags %v", got.Configuration, got.Tags)
	}
	n.downloads(*got.Code.Location)

	remove := func(qualifier string) error {
		_, err := n.lambda.DeleteFunction(ctx, &service.DeleteFunctionInput{FunctionName: name, Qualifier: &qualifier})
		return err
	}
	refused(t, "to delete the version that live points at", remove("3"), "ResourceConflictException", 409)
	refused(t, "to delete an alias as a version", remove("live"), "InvalidParameterValueException", 400)
	refused(t, "to delete $LATEST alone", remove("$LATEST"), "InvalidParameterValueException", 400)
	for range 2 { // the second time there is nothing to delete
		ok(t, remove("1"))
	}
	_, err = n.lambda.GetFunction(ctx, &service.GetFunctionInput{FunctionName: name, Qualifier: sdk.String("1")})
	refused(t, "a deleted version", err, "ResourceNotFoundException", 404)
	if told := n.invoke("pay", "2"); told["code"] != "two" {
		t.Errorf("the version beside a deleted one tells %v", told)
	}
	_, err = n.lambda.DeleteFunction(ctx, &service.DeleteFunctionInput{FunctionName: name})
	ok(t, err)
	_, err = n.lambda.GetFunction(ctx, &service.GetFunctionInput{FunctionName: name})
	refused(t, "a deleted function", err, "ResourceNotFoundException", 404)
	_, err = n.lambda.DeleteFunction(ctx, &service.DeleteFunctionInput{FunctionName: name})
	refused(t, "to delete it again", err, "ResourceNotFoundException", 404)
}

// downloads makes another function of what a link leads to, which is the same code.
func (n *node) downloads(link string) {
	n.Helper()
	r, err := http.Get(link)
	ok(n.T, err)
	defer r.Body.Close()
	content, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		n.Fatalf("GET %s = %s, %v", link, r.Status, err)
	}
	_, err = n.lambda.CreateFunction(n.Context(), &service.CreateFunctionInput{
		FunctionName: sdk.String("copy"), Runtime: types.RuntimeProvidedal2023, Handler: sdk.String("main"), Role: sdk.String("any"), Code: &types.FunctionCode{ZipFile: content}})
	ok(n.T, err)
	if told := n.invoke("copy", ""); told["code"] != "two" {
		n.Errorf("what was downloaded tells %v", told)
	}
	for _, bad := range []string{strings.Replace(link, "sum=", "sum=0", 1), strings.Replace(link, "until=", "until=9", 1)} {
		r, err := http.Get(bad)
		ok(n.T, err)
		r.Body.Close()
		if r.StatusCode != http.StatusForbidden {
			n.Errorf("GET %s = %s, want 403", bad, r.Status)
		}
	}
}

func TestAliasesHaveWeightsAndRevisions(t *testing.T) {
	n := startNode(t)
	ctx := t.Context()
	name := sdk.String("pay")
	n.create("pay", "one")
	_, err := n.lambda.UpdateFunctionCode(ctx, &service.UpdateFunctionCodeInput{FunctionName: name, ZipFile: archive(t, "two")})
	ok(t, err)
	made, err := n.lambda.CreateAlias(ctx, &service.CreateAliasInput{FunctionName: name, Name: sdk.String("blue"), FunctionVersion: sdk.String("1"), Description: sdk.String("the old one"),
		RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 0.25}}})
	ok(t, err)
	if sdk.ToString(made.AliasArn) != "arn:aws:lambda:us-east-1:000000000000:function:pay:blue" || sdk.ToString(made.FunctionVersion) != "1" || made.RoutingConfig.AdditionalVersionWeights["2"] != 0.25 || sdk.ToString(made.Description) != "the old one" {
		t.Errorf("CreateAlias = %+v", made)
	}
	_, err = n.lambda.CreateAlias(ctx, &service.CreateAliasInput{FunctionName: name, Name: sdk.String("blue"), FunctionVersion: sdk.String("1")})
	refused(t, "the alias again", err, "ResourceConflictException", 409)
	moved, err := n.lambda.UpdateAlias(ctx, &service.UpdateAliasInput{FunctionName: name, Name: sdk.String("blue"), FunctionVersion: sdk.String("2"),
		RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{}}, RevisionId: made.RevisionId})
	ok(t, err)
	if sdk.ToString(moved.FunctionVersion) != "2" || moved.RoutingConfig != nil || sdk.ToString(moved.Description) != "the old one" {
		t.Errorf("UpdateAlias = %+v", moved)
	}
	_, err = n.lambda.UpdateAlias(ctx, &service.UpdateAliasInput{FunctionName: name, Name: sdk.String("blue"), FunctionVersion: sdk.String("1"), RevisionId: made.RevisionId})
	refused(t, "an older revision", err, "PreconditionFailedException", 412)
	for _, tt := range []struct {
		what, version string
		weights       map[string]float64
		typ           string
		status        int
	}{
		{"no such version", "9", nil, "ResourceNotFoundException", 404},
		{"$LATEST", "$LATEST", nil, "InvalidParameterValueException", 400},
		{"thousandths", "1", map[string]float64{"2": 0.001}, "InvalidParameterValueException", 400},
		{"too much", "1", map[string]float64{"2": 1.5}, "InvalidParameterValueException", 400},
	} {
		in := &service.UpdateAliasInput{FunctionName: name, Name: sdk.String("blue"), FunctionVersion: &tt.version}
		if tt.weights != nil {
			in.RoutingConfig = &types.AliasRoutingConfiguration{AdditionalVersionWeights: tt.weights}
		}
		_, err := n.lambda.UpdateAlias(ctx, in)
		refused(t, tt.what, err, tt.typ, tt.status)
	}
	list, err := n.lambda.ListAliases(ctx, &service.ListAliasesInput{FunctionName: name, FunctionVersion: sdk.String("2")})
	if err != nil || len(list.Aliases) != 2 || sdk.ToString(list.Aliases[0].Name) != "blue" || sdk.ToString(list.Aliases[1].Name) != "live" {
		t.Errorf("ListAliases = %+v, %v", list, err)
	}
	for range 2 { // the second time there is nothing to delete, and AWS says nothing of that
		_, err = n.lambda.DeleteAlias(ctx, &service.DeleteAliasInput{FunctionName: name, Name: sdk.String("blue")})
		ok(t, err)
	}
	_, err = n.lambda.GetAlias(ctx, &service.GetAliasInput{FunctionName: name, Name: sdk.String("blue")})
	refused(t, "a deleted alias", err, "ResourceNotFoundException", 404)
	_, err = n.lambda.DeleteAlias(ctx, &service.DeleteAliasInput{FunctionName: name, Name: sdk.String("live")})
	refused(t, "to delete live", err, "InvalidParameterValueException", 400)
}

func TestListsComeInPages(t *testing.T) {
	n := startNode(t)
	want := []string{}
	for i := range 5 {
		name := fmt.Sprint("fn-", i)
		n.create(name, "one")
		want = append(want, name)
	}
	var got []string
	pages := service.NewListFunctionsPaginator(n.lambda, &service.ListFunctionsInput{MaxItems: sdk.Int32(2)})
	count := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		ok(t, err)
		count++
		for _, f := range page.Functions {
			got = append(got, *f.FunctionName)
		}
	}
	if !slices.Equal(got, want) || count != 3 {
		t.Errorf("ListFunctions = %v in %d pages, want %v in 3", got, count, want)
	}
	for _, code := range []string{"two", "three"} {
		_, err := n.lambda.UpdateFunctionCode(t.Context(), &service.UpdateFunctionCodeInput{FunctionName: sdk.String("fn-0"), ZipFile: archive(t, code)})
		ok(t, err)
	}
	var versions []string
	all := service.NewListVersionsByFunctionPaginator(n.lambda, &service.ListVersionsByFunctionInput{FunctionName: sdk.String("fn-0"), MaxItems: sdk.Int32(3)})
	for all.HasMorePages() {
		page, err := all.NextPage(t.Context())
		ok(t, err)
		for _, v := range page.Versions {
			versions = append(versions, *v.Version)
		}
	}
	if !slices.Equal(versions, []string{"$LATEST", "1", "2", "3"}) {
		t.Errorf("ListVersionsByFunction = %v", versions)
	}
	_, err := n.lambda.ListFunctions(t.Context(), &service.ListFunctionsInput{Marker: sdk.String("?")})
	refused(t, "a marker of nobody's", err, "InvalidParameterValueException", 400)
}

func TestWhatCannotBeMadeIsRefusedAndChangesNothing(t *testing.T) {
	n := startNode(t)
	ctx := t.Context()
	good := func() *service.CreateFunctionInput {
		return &service.CreateFunctionInput{FunctionName: sdk.String("pay"), Runtime: types.RuntimeProvidedal2023, Handler: sdk.String("main"), Role: sdk.String("any"),
			Code: &types.FunctionCode{ZipFile: archive(t, "one")}}
	}
	for what, change := range map[string]func(*service.CreateFunctionInput){
		"a name in capitals":   func(in *service.CreateFunctionInput) { in.FunctionName = sdk.String("Pay") },
		"no runtime":           func(in *service.CreateFunctionInput) { in.Runtime = "" },
		"an unknown runtime":   func(in *service.CreateFunctionInput) { in.Runtime = types.RuntimeJava21 },
		"a python of tomorrow": func(in *service.CreateFunctionInput) { in.Runtime = "python3.99" },
		"S3": func(in *service.CreateFunctionInput) {
			in.Code = &types.FunctionCode{S3Bucket: sdk.String("b"), S3Key: sdk.String("k")}
		},
		"nothing":    func(in *service.CreateFunctionInput) { in.Code = &types.FunctionCode{} },
		"no archive": func(in *service.CreateFunctionInput) { in.Code.ZipFile = []byte("PK and no more") },
		"a path that leads out": func(in *service.CreateFunctionInput) {
			in.Code.ZipFile = zipped(t, map[string]string{"../../etc/passwd": "root"})
		},
		"a bomb":              func(in *service.CreateFunctionInput) { in.Code.ZipFile = bomb(t) },
		"another machine":     func(in *service.CreateFunctionInput) { in.Architectures = []types.Architecture{"m68k"} },
		"a VPC":               func(in *service.CreateFunctionInput) { in.VpcConfig = &types.VpcConfig{SubnetIds: []string{"s"}} },
		"layers":              func(in *service.CreateFunctionInput) { in.Layers = []string{"arn"} },
		"an endless time-out": func(in *service.CreateFunctionInput) { in.Timeout = sdk.Int32(901) },
		"a bad variable": func(in *service.CreateFunctionInput) {
			in.Environment = &types.Environment{Variables: map[string]string{"a b": "c"}}
		},
		"aws: tags":     func(in *service.CreateFunctionInput) { in.Tags = map[string]string{"aws:a": "b"} },
		"zip and image": func(in *service.CreateFunctionInput) { in.PackageType = types.PackageTypeImage },
	} {
		in := good()
		change(in)
		_, err := n.lambda.CreateFunction(ctx, in)
		refused(t, what, err, "InvalidParameterValueException", 400)
	}
	list, err := n.lambda.ListFunctions(ctx, &service.ListFunctionsInput{})
	if err != nil || len(list.Functions) != 0 {
		t.Errorf("after that there are %d functions, %v", len(list.Functions), err)
	}
	_, err = n.lambda.CreateFunction(ctx, good())
	ok(t, err)
	_, err = n.lambda.CreateFunction(ctx, good())
	refused(t, "the function again", err, "ResourceConflictException", 409)
	_, err = n.lambda.PublishLayerVersion(ctx, &service.PublishLayerVersionInput{LayerName: sdk.String("l"), Content: &types.LayerVersionContentInput{ZipFile: archive(t, "x")}})
	refused(t, "an operation that is not there", err, "NotImplementedException", 501)
}

// bomb is a small archive of more than code may have. One piece is compressed, and is in it many times over: to compress all of it would take longer
// than all that is asked of the node.
func bomb(t *testing.T) []byte {
	t.Helper()
	zeros := make([]byte, 16<<20)
	var piece, all bytes.Buffer
	f, err := flate.NewWriter(&piece, flate.BestSpeed)
	ok(t, err)
	_, err = f.Write(zeros)
	ok(t, err)
	ok(t, f.Close())
	z := zip.NewWriter(&all)
	bootstrap, err := z.Create("bootstrap")
	ok(t, err)
	_, err = bootstrap.Write([]byte("#!/bin/sh\n"))
	ok(t, err)
	for i := range 17 {
		w, err := z.CreateRaw(&zip.FileHeader{
			Name: fmt.Sprint("zeros", i), Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(zeros),
			CompressedSize64: uint64(piece.Len()), UncompressedSize64: uint64(len(zeros)),
		})
		ok(t, err)
		_, err = w.Write(piece.Bytes())
		ok(t, err)
	}
	ok(t, z.Close())
	return all.Bytes()
}
