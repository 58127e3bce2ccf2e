/* tiny.c - the smallest command: from exec to exit it measures an engine's start and nothing else.
 */

__attribute__((export_name("_start"))) void start(void);

void start(void)
{
}
