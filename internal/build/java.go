package build

import (
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// keepJars lays what Maven has packed where it made it, below out. Sources and what was replaced on the way are left out.
const keepJars = `mkdir -p ` + outAt + `/target
for jar in target/*.jar target/*.war; do
	case $jar in
	*-sources.jar | *-javadoc.jar | *-tests.jar | target/original-* | target/'*'*) ;;
	*) cp "$jar" ` + outAt + `/target/ ;;
	esac
done
if [ -d target/lib ]; then cp -R target/lib ` + outAt + `/target/; fi
if [ -d target/dependency ]; then cp -R target/dependency ` + outAt + `/target/; fi`

// javaPlan packs a project with Maven: the code is what that leaves in target, jars and the directories of libraries that its plugins make.
func javaPlan(r *Request) (*plan, error) {
	const file = "pom.xml"
	if !r.has(file) {
		return nil, lacks(function.BuildJava, file)
	}
	mvn, needs := "mvn", []string{"java", "mvn"}
	if r.has("mvnw") {
		mvn, needs = "./mvnw", needs[:1]
	}
	p := &plan{name: "maven", needs: needs, versioned: true, output: outAt, env: []string{"MAVEN_USER_HOME=" + cacheAt + "/m2", "MAVEN_OPTS=-Duser.home=" + tmpAt}}
	if len(r.Programs) > 0 {
		return nil, fault.New(fault.Invalid, "function %q: build: {type: java} makes jars, and entry.command starts %q of the code", r.Function, r.Programs[0]).
			WithHint("start a jar: [java, -jar, target/NAME.jar]")
	}
	p.steps = [][]string{
		{mvn, "-Dstyle.color=never", "--version"},
		// The time in jars is that of no build: the same source makes the same. // maven.apache.org/guides/mini/guide-reproducible-builds.html
		{mvn, "-B", "-q", "-Dstyle.color=never", "-DskipTests", "-Dproject.build.outputTimestamp=1980-01-01T00:00:02Z", "-Dmaven.repo.local=" + cacheAt + "/maven", "package"},
		{"sh", "-ec", keepJars},
	}
	return p, nil
}
