package shop;

import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class Shop {
    public static void main(String[] words) {
        SpringApplication.run(Shop.class, words);
    }

    @GetMapping("/")
    Map<String, Object> memory() {
        return Map.of("shop", "open", "megabytes", Runtime.getRuntime().maxMemory() >> 20);
    }
}
