#!/usr/bin/perl
# What the test compares: the interpreter is that of the first line.
my ($codename) = map { /^VERSION_CODENAME=(\S+)/ ? $1 : () } do { open my $f, '<', '/etc/os-release'; <$f> };
print qq({"release": {"codename": "$codename"},\n "numbers": [1, 2], "with blank": {"here": true}}\n);
