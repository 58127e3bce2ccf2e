/* limits.h - the size of a page as programs see it; mmap gives out nothing smaller. */
#define PAGESIZE 4096
