package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// Build says what builds of functions get.
type Build struct {
	Parallel int
	Memory   function.Bytes
	Disk     function.Bytes
	Cache    function.Bytes
	PIDs     int
	Env      List   // NAME=VALUE, or NAME of the node's own environment
	Allow    List   // destinations, as function.Allowed has them; none = the internet
	Tools    List   // directories
	Require  string // RequireSigned or ""
}

// RequireSigned as Build.Require lets a node take only versions that it has built itself, and signed.
const RequireSigned = "signed"

// List is a list of texts that are kept as they are written.
type List []string

func parseList(text string) List {
	var l List
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			l = append(l, item)
		}
	}
	return l
}

func (l List) String() string { return "[" + strings.Join(l, ", ") + "]" }

func defaultBuild() Build {
	return Build{Parallel: 2, Memory: 2 << 30, Disk: 4 << 30, Cache: 4 << 30, PIDs: 1024}
}

func buildSettings() []Setting {
	return []Setting{
		{Key: "build.parallel", Form: "number", Help: "Builds of functions at a time; others wait. They take the CPU that functions leave.",
			value: func(n *Node) any { return &n.Build.Parallel }, check: func(n *Node) string { return span(n.Build.Parallel, 1, 64) }},
		{Key: "build.memory", Form: "size", Help: "Of one build.",
			value: func(n *Node) any { return &n.Build.Memory }, check: func(n *Node) string { return span(n.Build.Memory, 64<<20, 1<<40) }},
		{Key: "build.disk", Form: "size", Help: "What one build may write.",
			value: func(n *Node) any { return &n.Build.Disk }, check: func(n *Node) string { return span(n.Build.Disk, 16<<20, 1<<40) }},
		{Key: "build.cache", Form: "size", Help: "What builds of one function, or of one repository, keep for the next one: modules, packages, compiled parts. Over it they begin anew.",
			value: func(n *Node) any { return &n.Build.Cache }, check: func(n *Node) string { return span(n.Build.Cache, 0, 1<<40) }},
		{Key: "build.pids", Form: "number", Help: "Processes and threads of one build.",
			value: func(n *Node) any { return &n.Build.PIDs }, check: func(n *Node) string { return span(n.Build.PIDs, 16, 1<<20) }},
		{Key: "build.env", Form: "list of NAME=VALUE or NAME", List: true, Help: "The environment of builds, such as GOPROXY=https://goproxy.example.com; NAME alone takes the value that the node itself was started with. Builds have nothing else of the node's environment. Every function's build can read it.",
			value: func(n *Node) any { return &n.Build.Env }, check: func(n *Node) string { return variables(n.Build.Env) }},
		{Key: "build.allow", Form: "list of internet, addresses and ranges", List: true, Help: "Where builds may connect to, written as for a function's network: egress. Default: the internet.",
			value: func(n *Node) any { return &n.Build.Allow }, check: func(n *Node) string { return destinations(n.Build.Allow) }},
		{Key: "build.tools", Form: "list of directories", List: true, Help: "Directories of this machine with a bin each, that builds see and look for programs in, beside /usr.",
			value: func(n *Node) any { return &n.Build.Tools }, check: func(n *Node) string { return directories(n.Build.Tools) }},
		{Key: "build.require", Form: "signed", Help: "signed: this node takes no version but those that it has built from source, and signed. Default: code may also come as it is.",
			value: func(n *Node) any { return &n.Build.Require }, check: func(n *Node) string { return oneOf(n.Build.Require, "", RequireSigned) }},
	}
}

var validVariable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func variables(list List) string {
	for _, item := range list {
		if name, _, _ := strings.Cut(item, "="); !validVariable.MatchString(name) || strings.ContainsRune(item, 0) {
			return fmt.Sprintf("has an item whose name %q is none of a variable", name) // its value may be a secret
		}
	}
	return ""
}

func destinations(list List) string {
	for _, item := range list {
		if _, err := (&function.Allowed{To: item}).Prefix(); err != nil {
			return "has an item: " + err.Error()
		}
	}
	return ""
}

// maxTools is how many directories a build can be shown beside its own.
const maxTools = 8

func directories(list List) string {
	if len(list) > maxTools {
		return fmt.Sprintf("has %d directories; at most %d", len(list), maxTools)
	}
	for _, item := range list {
		if !filepath.IsAbs(item) {
			return fmt.Sprintf("has %q, which is no absolute path", item)
		}
	}
	return ""
}
