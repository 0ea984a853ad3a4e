"""`python3 <this directory>`: the specimen, as its image starts it."""

from specimen.main import main

main()
