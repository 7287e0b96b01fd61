# Java: jars, which carry the native part for glibc and musl.
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib
javac -cp 'lib/*' -d . Function.java
# Java has its own settings outside of /usr; a run time image made for the function carries all of it.
jlink --add-modules java.base,java.logging,java.sql,java.naming,java.management,java.desktop,java.xml,jdk.unsupported,jdk.crypto.ec \
	--strip-debug --no-header-files --no-man-pages --output jre
