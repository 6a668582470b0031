package org.elasticsearch.node;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;

import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.LabPlugins;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.plugins.PluginsService;

/**
 * One Elasticsearch node from published jars alone: no distribution, no bundled modules, no security.
 * Arguments are settings, {@code path.home=DIRECTORY http.port=9200 ...}; it prints READY once it answers.
 *
 * <p>It stands in this package because the seam that hands a node its plugins is private to it.
 */
public final class LabNode {
    private LabNode() {}

    public static void main(String[] arguments) throws Exception {
        LogConfigurator.configureESLogging();
        Environment environment = environment(settings(arguments));
        Node node = new Node(NodeConstruction.prepareConstruction(environment, noPlugins(), ourPlugins(), true));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        node.start();
        System.out.println("READY");
        Thread.currentThread().join();
    }

    private static Settings settings(String[] arguments) {
        Settings.Builder settings = Settings.builder()
            .put("cluster.name", "lab")
            .put("node.name", "lab")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("transport.port", "0")
            .put("cluster.routing.allocation.disk.threshold_enabled", false);
        for (String argument : arguments) {
            int equals = argument.indexOf('=');
            settings.put(argument.substring(0, equals), argument.substring(equals + 1));
        }
        return settings.build();
    }

    private static Environment environment(Settings settings) throws Exception {
        Path configuration = Files.createDirectories(Path.of(settings.get("path.home"), "config"));
        return InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), configuration, () -> "lab");
    }

    private static PluginsLoader noPlugins() {
        return PluginsLoader.createPluginsLoader(Set.of(), Set.of(), Map.of(), false);
    }

    private static NodeServiceProvider ourPlugins() {
        return new NodeServiceProvider() {
            @Override
            PluginsService newPluginService(Environment environment, PluginsLoader loader) {
                return new LabPlugins(environment, loader);
            }
        };
    }

    private static void close(Node node) {
        try {
            node.prepareForClose();
            node.close();
        } catch (Exception failure) {
            failure.printStackTrace();
        }
    }
}
