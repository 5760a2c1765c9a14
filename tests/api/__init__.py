"""The API document, section by section: the names of the tests follow its own words.

Most of it runs in a net without network (`world`), whose clock is turned by hand; where the point
is a real peer, a real server or a real terminal, there is one.
"""
