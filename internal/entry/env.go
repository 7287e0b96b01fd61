package entry

import (
	"maps"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// environ is the whole environment of a function: what programs expect, what the version says, and last what dalamb says
// and a version cannot change. There is nothing of the node's own environment in it.
func environ(s Start, region string) map[string]string {
	v := &s.Version.Spec
	env := map[string]string{
		"HOME":    "/tmp",
		"LANG":    "C.UTF-8",
		"PATH":    searchPath(),
		"TZ":      ":UTC",
		"LOGNAME": "function",
	}
	if v.Entry.Type == function.EntryLambda {
		env["PATH"] += ":/opt/bin"
		env["_HANDLER"] = handler(v)
		env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + runtimeName(v)
		env["AWS_REGION"] = region
		env["AWS_DEFAULT_REGION"] = region
		env["LAMBDA_RUNTIME_DIR"] = runner.TaskRoot
		env["LD_LIBRARY_PATH"] = runner.TaskRoot + ":" + runner.TaskRoot + "/lib:/opt/lib"
	}
	imageEnviron(env, s.Version.Image)
	maps.Copy(env, v.Env)
	maps.Copy(env, s.Values.Config)
	number := strconv.Itoa(s.Version.Number)
	env["DALAMB_FUNCTION"] = v.Name
	env["DALAMB_VERSION"] = number
	switch v.Entry.Type {
	case function.EntryLambda:
		maps.Copy(env, lambdaEnviron(s, number))
	case function.EntryHTTP:
		env["PORT"] = runner.PortNumber
	}
	return env
}

// lambdaEnviron is what AWS reserves. AWS Lambda developer guide, "Defined runtime environment variables". There are no
// credentials: a function has no rights in AWS that its version's own environment does not give it.
func lambdaEnviron(s Start, number string) map[string]string {
	v := &s.Version.Spec
	return map[string]string{
		"AWS_LAMBDA_RUNTIME_API":          runner.ListenAddr,
		"AWS_LAMBDA_FUNCTION_NAME":        v.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     number,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.FormatInt(max(1, int64(v.Resources.Memory)>>20), 10),
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/" + v.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME":      "[" + number + "]" + s.ID,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  initialization(s),
		"LAMBDA_TASK_ROOT":                runner.TaskRoot,
	}
}

// initialization is AWS's word for why an instance was started.
func initialization(s Start) string {
	if s.Ahead {
		return "provisioned-concurrency"
	}
	return "on-demand"
}

// handler is what AWS's API was told, else a guess at what AWS calls the handler, for runtimes that print it; a version's own _HANDLER wins.
func handler(s *function.Spec) string {
	command := s.Entry.Command
	switch {
	case s.AWS != nil && s.AWS.Handler != "":
		return s.AWS.Handler
	case len(command) == 0:
		return ""
	}
	return path.Base(command[len(command)-1])
}

func runtimeName(s *function.Spec) string {
	if s.AWS != nil && s.AWS.Runtime != "" {
		return s.AWS.Runtime
	}
	return "provided"
}

func searchPath() string {
	const everywhere = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if runtime.GOOS == "darwin" {
		return "/opt/homebrew/bin:" + everywhere // where macOS keeps the interpreters that its owner installed
	}
	return everywhere
}

// maxValue keeps one variable below what the kernel takes (128 KiB), so that a long query cannot keep a program from starting.
const maxValue = 64 << 10

// list gives an environment in the form of runner.Spec, sorted, without what no environment can hold.
func list(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		if v := env[k]; len(v) <= maxValue && !strings.Contains(v, "\x00") {
			out = append(out, k+"="+v)
		}
	}
	return out
}
